use worksharing::work_shared;

#[work_shared(codec = json)]
fn later(n: u32) -> u32 {
    n
}

fn main() {}
