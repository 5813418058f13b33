use worksharing::work_shared;

#[work_shared(ttl = n)]
fn ttl(n: u32) -> u32 {
    n
}

#[work_shared(via = n)]
fn via(n: u32) -> u32 {
    n
}

#[work_shared(force_refresh = n, skip_all)]
fn force(n: u32) -> u32 {
    n
}

#[work_shared(version = "1".len())]
fn version(n: u32) -> u32 {
    n
}

fn main() {}
