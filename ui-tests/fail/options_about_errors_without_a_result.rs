use worksharing::work_shared;

#[work_shared(stale_if_error = "1d")]
fn number(n: u32) -> u32 {
    n
}

#[work_shared(share_err = false)]
fn option(n: u32) -> Option<u32> {
    Some(n)
}

#[work_shared(cache_err = "5s")]
fn list(n: u32) -> Vec<u32> {
    vec![n]
}

type Alias = u32;

#[work_shared(stale_if_error = "1d")]
fn alias(n: u32) -> Alias {
    n
}

fn main() {}
