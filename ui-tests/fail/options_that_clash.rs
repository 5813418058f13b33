use worksharing::work_shared;

#[work_shared(key = a, skip(b))]
fn key_and_skip(a: u32, b: u32) -> u32 {
    a + b
}

#[work_shared(key = a, skip_all)]
fn key_and_skip_all(a: u32) -> u32 {
    a
}

#[work_shared(skip(a), skip_all)]
fn skip_and_skip_all(a: u32) -> u32 {
    a
}

#[derive(Debug)]
struct Shop {
    fresh: bool,
}

impl Shop {
    #[work_shared(force_refresh = self.fresh)]
    fn refresh_by_self(&self) -> u32 {
        1
    }
}

fn main() {}
