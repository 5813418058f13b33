use worksharing::work_shared;

#[work_shared(key = "report:{yaer}")]
fn misspelt(year: u32) -> u32 {
    year
}

#[work_shared(key = "report:{other}:{self.id}")]
fn unknown(year: u32, region: u32) -> u32 {
    year + region
}

#[work_shared(key = "report:{}:{2}")]
fn positions(year: u32) -> u32 {
    year
}

#[work_shared(key = "report:{year")]
fn open(year: u32) -> u32 {
    year
}

#[work_shared(key = "report:year}")]
fn closed(year: u32) -> u32 {
    year
}

#[work_shared(key = "{year:y}:{year:>width$}")]
fn spec(year: u32) -> u32 {
    year
}

#[work_shared(key = "{year +}:{1}")]
fn expression(year: u32, (a, b): (u32, u32)) -> u32 {
    year + a + b
}

#[work_shared(key = "{n}")]
fn nothing() -> u32 {
    1
}

fn main() {}
