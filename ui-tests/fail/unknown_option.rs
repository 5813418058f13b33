use worksharing::work_shared;

#[work_shared(banana = 1)]
fn unknown(n: u32) -> u32 {
    n
}

#[work_shared(tll = "60s", kye = "a:{n}", skipall)]
fn misspelt(n: u32) -> u32 {
    n
}

fn main() {
    // The function is there all the same: one mistake is one error.
    let _: u32 = unknown(1) + misspelt(2);
}
