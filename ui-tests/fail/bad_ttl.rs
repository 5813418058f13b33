use worksharing::work_shared;

#[work_shared(ttl = "0s")]
fn zero() -> u32 {
    1
}

#[work_shared(ttl = "60")]
fn no_unit() -> u32 {
    1
}

#[work_shared(ttl = "10 minutes")]
fn words() -> u32 {
    1
}

#[work_shared(ttl = "1.5h")]
fn fraction() -> u32 {
    1
}

#[work_shared(ttl = "-1s")]
fn negative() -> u32 {
    1
}

#[work_shared(ttl = "99999999999999999w")]
fn overflow() -> u32 {
    1
}

#[work_shared(ttl = "")]
fn empty() -> u32 {
    1
}

#[work_shared(ttl = "1y")]
fn unit() -> u32 {
    1
}

#[work_shared(ttl = 1.5)]
fn float() -> u32 {
    1
}

fn main() {}
