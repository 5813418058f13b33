use worksharing::work_shared;

#[work_shared(
    wait = "1s",
    on_timeout = compute,
    stale_while_revalidate = "1s",
    stale_if_error = "1s",
    early_refresh,
    jitter = 0.1,
    local = "1s",
    cache_err,
    tags = ["a"],
    codec = json
)]
fn later(n: u32) -> u32 {
    n
}

fn main() {}
