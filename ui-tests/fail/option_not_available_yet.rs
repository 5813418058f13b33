use worksharing::work_shared;

#[work_shared(each = n, codec = json)]
fn later(n: u32) -> u32 {
    n
}

fn main() {}
