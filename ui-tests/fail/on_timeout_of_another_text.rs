use worksharing::work_shared;

#[work_shared(wait = "2s", on_timeout = "computes")]
fn misspelt(n: u32) -> u32 {
    n
}

#[work_shared(wait = "2s", on_timeout = "busy")]
fn text(n: u32) -> String {
    n.to_string()
}

#[work_shared(wait = "2s", on_timeout = compute)]
fn without_quotes(n: u32) -> u32 {
    n
}

#[work_shared(wait = "2s", on_timeout = || 7)]
fn closure(n: u32) -> u32 {
    n
}

fn main() {}
