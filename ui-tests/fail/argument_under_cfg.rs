use worksharing::work_shared;

#[work_shared]
fn default_key(#[cfg(windows)] handle: u32, n: u32) -> u32 {
    n
}

#[work_shared(key = n, handle = handled_call)]
fn handled(#[cfg(windows)] handle: u32, n: u32) -> u32 {
    n
}

#[work_shared(skip(handle))]
fn skipped(#[cfg(windows)] handle: u32, n: u32) -> u32 {
    n
}

fn main() {
    let _ = skipped(1);
}
