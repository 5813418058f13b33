use worksharing::work_shared;

#[work_shared]
fn nothing(n: u32) {
    let _ = n;
}

#[work_shared]
async fn unit(n: u32) -> () {
    let _ = n;
}

#[work_shared]
fn never(n: u32) -> ! {
    panic!("{n}")
}

fn main() {}
