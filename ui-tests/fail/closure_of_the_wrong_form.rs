use worksharing::work_shared;

#[work_shared(cache_if = |a, b| true)]
fn two(n: u32) -> u32 {
    n
}

#[work_shared(cache_if = || true, ttl = |a, b| 5)]
fn none(n: u32) -> u32 {
    n
}

#[work_shared(cache_if = true)]
fn literal(n: u32) -> u32 {
    n
}

#[work_shared(cache_if = async |v| true)]
fn asynchronous(n: u32) -> u32 {
    n
}

fn main() {}
