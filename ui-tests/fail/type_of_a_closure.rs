use worksharing::work_shared;

struct Report {
    lines: u32,
}

#[work_shared(cache_if = |value| value + 1)]
fn not_a_bool(n: u32) -> u32 {
    n
}

#[work_shared(ttl = |value| 5)]
fn not_a_duration(n: u32) -> Option<u32> {
    Some(n)
}

#[work_shared(cache_if = |value: &Report| value.lines > 0)]
fn another_type(n: u32) -> u32 {
    n
}

fn main() {
    let _ = Report { lines: 1 };
}
