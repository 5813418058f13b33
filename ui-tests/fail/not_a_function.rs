use worksharing::work_shared;

#[work_shared]
struct Shop;

#[work_shared(ttl = "1s")]
impl Shop {
    fn count(&self) -> u32 {
        1
    }
}

#[work_shared]
mod module {}

trait Report {
    #[work_shared]
    fn report(&self) -> u32;
}

fn main() {
    let _ = Shop.count();
}
