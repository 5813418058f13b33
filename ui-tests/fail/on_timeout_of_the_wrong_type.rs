use worksharing::work_shared;

#[work_shared(wait = "2s", on_timeout = Err("busy"))]
fn another_error(n: u32) -> Result<u32, String> {
    Ok(n)
}

#[work_shared(wait = "2s", on_timeout = None, detach)]
async fn no_option(n: u32) -> u32 {
    n
}

#[work_shared(wait = "2s", on_timeout = 7, handle = handled_call)]
async fn handled(n: u32) -> String {
    n.to_string()
}

fn main() {}
