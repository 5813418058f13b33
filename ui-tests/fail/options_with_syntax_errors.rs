use worksharing::work_shared;

#[work_shared("60s")]
fn literal() -> u32 {
    1
}

#[work_shared(ttl = "1s" key = "a")]
fn comma() -> u32 {
    1
}

#[work_shared(ttl = , key = "a")]
fn value() -> u32 {
    1
}

#[work_shared(ttl: "1s")]
fn colon() -> u32 {
    1
}

#[work_shared(cache_if = |v| , version = -1)]
fn two_at_once() -> u32 {
    1
}

fn main() {}
