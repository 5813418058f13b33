use worksharing::work_shared;

#[work_shared(stale_while_revalidate = "0s")]
fn zero(n: u32) -> u32 {
    n
}

#[work_shared(stale_if_error = "9999w")]
fn absurd(n: u32) -> Result<u32, u32> {
    Ok(n)
}

#[work_shared(wait = 2, on_timeout = "compute")]
fn number(n: u32) -> u32 {
    n
}

#[work_shared(wait = "2w", on_timeout = "compute")]
fn two_weeks(n: u32) -> u32 {
    n
}

#[work_shared(wait, on_timeout = "compute")]
fn nothing(n: u32) -> u32 {
    n
}

#[work_shared(stale_while_revalidate = |value| value)]
fn closure(n: u32) -> u32 {
    n
}

#[work_shared(jitter = "0ms")]
fn no_jitter(n: u32) -> u32 {
    n
}

#[work_shared(stale_if_error = n)]
fn no_duration(n: u32) -> Result<u32, u32> {
    Ok(n)
}

fn main() {}
