use worksharing::work_shared;

#[work_shared(jitter = "0%")]
fn zero(n: u32) -> u32 {
    n
}

#[work_shared(jitter = "101%")]
fn too_much(n: u32) -> u32 {
    n
}

#[work_shared(jitter = "ten %")]
fn words(n: u32) -> u32 {
    n
}

#[work_shared(jitter = "-5%")]
fn negative(n: u32) -> u32 {
    n
}

#[work_shared(jitter = 0.1)]
fn float(n: u32) -> u32 {
    n
}

#[work_shared(jitter)]
fn flag(n: u32) -> u32 {
    n
}

#[work_shared(ttl = "60s", jitter = "1m")]
fn all_of_it(n: u32) -> u32 {
    n
}

fn main() {}
