use worksharing::work_shared;

#[work_shared(wait = "2s")]
fn wait(n: u32) -> u32 {
    n
}

#[work_shared(on_timeout = 7)]
fn on_timeout(n: u32) -> u32 {
    n
}

fn main() {}
