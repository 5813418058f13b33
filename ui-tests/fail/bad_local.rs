use worksharing::work_shared;

#[work_shared(local)]
fn no_value(n: u32) -> u32 {
    n
}

#[work_shared(local = "0s")]
fn zero(n: u32) -> u32 {
    n
}

#[work_shared(local = 5)]
fn no_unit(n: u32) -> u32 {
    n
}

#[work_shared(local = |n| n)]
fn closure(n: u32) -> u32 {
    n
}

#[work_shared(local = "4000d")]
fn long(n: u32) -> u32 {
    n
}

#[work_shared(local_ttl = "5s")]
fn habit(n: u32) -> u32 {
    n
}

fn main() {}
