use worksharing::work_shared;

#[work_shared(early_refresh = 0)]
fn zero(n: u32) -> u32 {
    n
}

#[work_shared(early_refresh = -1.5)]
fn negative(n: u32) -> u32 {
    n
}

#[work_shared(early_refresh = f64::NAN)]
fn not_a_number(n: u32) -> u32 {
    n
}

#[work_shared(early_refresh = 1e999)]
fn infinite(n: u32) -> u32 {
    n
}

#[work_shared(early_refresh = "1.5")]
fn text(n: u32) -> u32 {
    n
}

fn main() {}
