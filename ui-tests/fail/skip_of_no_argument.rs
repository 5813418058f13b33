use worksharing::work_shared;

#[work_shared(skip(lgo, other))]
fn wrong(log: u32, n: u32) -> u32 {
    log + n
}

#[work_shared(skip(self))]
fn nothing() -> u32 {
    1
}

fn main() {}
