use worksharing::work_shared;

#[work_shared(ttl)]
fn no_value() -> u32 {
    1
}

#[work_shared(key("a"))]
fn list() -> u32 {
    1
}

#[work_shared(cache_none = true, skip_all())]
fn flags() -> u32 {
    1
}

#[work_shared(skip)]
fn skip_what() -> u32 {
    1
}

#[work_shared(skip = a)]
fn skip_value(a: u32) -> u32 {
    a
}

#[work_shared(version = -1)]
fn negative() -> u32 {
    1
}

#[work_shared(version = "2")]
fn text() -> u32 {
    1
}

#[work_shared(version = 4294967296)]
fn large() -> u32 {
    1
}

#[work_shared(name = reports)]
fn name() -> u32 {
    1
}

#[work_shared(crate = "worksharing")]
fn quoted() -> u32 {
    1
}

#[work_shared(handle = "call")]
fn handle_text() -> u32 {
    1
}

#[work_shared(handle = a::call)]
fn handle_path() -> u32 {
    1
}

#[work_shared(handle = handle_itself)]
fn handle_itself() -> u32 {
    1
}

#[work_shared(share_err = true)]
fn share_err_always(a: u32) -> Result<u32, u32> {
    Ok(a)
}

#[work_shared(detach = true)]
fn detach_with_a_value(a: u32) -> u32 {
    a
}

fn main() {}
