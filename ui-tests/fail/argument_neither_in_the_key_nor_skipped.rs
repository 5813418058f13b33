use worksharing::work_shared;

#[work_shared(key = "price:{article}", skip(db))]
fn added_later(db: &str, article: u32, currency: &str, _trace: u64) -> u32 {
    article + (db.len() + currency.len()) as u32
}

#[work_shared(key = "price:{article}", skip())]
fn pattern((article, currency): (u32, &str), fresh: bool) -> u32 {
    article + currency.len() as u32 + u32::from(fresh)
}

struct Shop(u32);

impl Shop {
    #[work_shared(key = "orders:{year}", skip(year), force_refresh = fresh)]
    fn orders(&self, year: u32, fresh: bool) -> u32 {
        self.0 + year + u32::from(fresh)
    }
}

#[work_shared(skip())]
fn default_key(db: &str) -> usize {
    db.len()
}

fn main() {}
