use worksharing::work_shared;

#[work_shared(time = 60)]
fn time(n: u32) -> u32 {
    n
}

#[work_shared(key = "String", convert = r#"{ format!("{n}") }"#)]
fn convert(n: u32) -> u32 {
    n
}

#[work_shared(result, option = true, sync_writes = "default")]
fn flags(n: u32) -> Result<u32, u32> {
    Ok(n)
}

#[work_shared(size = 100, ty = "Cache", create = "{ Cache::new() }")]
fn stores(n: u32) -> u32 {
    n
}

#[work_shared(ttl = 60)]
fn ttl(n: u32) -> u32 {
    n
}

#[work_shared(ttl_millis = 1500, ignore(n), force = true, condition = "x", namespace = "n")]
fn others(n: u32) -> u32 {
    n
}

#[work_shared(ttl = "1m", timeout = 5)]
fn waits(n: u32) -> u32 {
    n
}

#[work_shared(swr = "10m", grace = "1h", refresh_ahead = 0.8, background, splay = "5s")]
fn fates(n: u32) -> u32 {
    n
}

#[work_shared(cache_errors = true, map_err = "x", default = 7)]
fn errors(n: u32) -> u32 {
    n
}

fn main() {}
