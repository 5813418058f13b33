use worksharing::work_shared;

#[work_shared(stale_while_revalidate = "10m", stale_if_error = "1m")]
fn no_longer_than_served_anyway(n: u32) -> Result<u32, u32> {
    Ok(n)
}

#[work_shared(share_err = false, cache_err = "5s")]
fn kept_and_stored(n: u32) -> Result<u32, u32> {
    Ok(n)
}

fn main() {}
