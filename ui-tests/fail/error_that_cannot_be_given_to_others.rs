use worksharing::work_shared;

struct NotSerializable;

#[work_shared(cache_err = "5s")]
fn stored(n: u32) -> Result<u32, NotSerializable> {
    Ok(n)
}

#[work_shared(share_err = |error| error)]
fn a_reference(n: u32) -> Result<u32, String> {
    Ok(n)
}

#[work_shared(cache_err = |error| 5)]
fn no_duration(n: u32) -> Result<u32, String> {
    Ok(n)
}

#[work_shared(share_err = |error| *error)]
fn borrowed(text: &str) -> Result<u32, &str> {
    Err(text)
}

type Alias = u32;

#[work_shared(share_err = |error| *error)]
fn no_result(n: u32) -> Alias {
    n
}

#[work_shared(cache_err = "5s")]
fn no_result_either(n: u32) -> Alias {
    n
}

#[work_shared(share_err = |a, b| a)]
fn two(n: u32) -> Result<u32, u32> {
    Ok(n)
}

#[work_shared(share_err = true)]
fn flag(n: u32) -> Result<u32, u32> {
    Ok(n)
}

fn main() {}
