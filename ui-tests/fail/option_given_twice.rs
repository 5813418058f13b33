use worksharing::work_shared;

#[work_shared(ttl = "1s", key = "a:{n}", ttl = "2s", cache_none, cache_none)]
fn twice(n: u32) -> u32 {
    n
}

#[work_shared(skip(a, b, a))]
fn skipped_twice(a: u32, b: u32) -> u32 {
    a + b
}

fn main() {}
