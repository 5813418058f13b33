use worksharing::work_shared;

struct Report;

#[work_shared]
fn plain(n: u32) -> Report {
    let _ = n;
    Report
}

#[work_shared]
async fn result(n: u32) -> Result<Report, String> {
    let _ = n;
    Ok(Report)
}

#[work_shared]
fn generic<T>(n: u32) -> Option<T> {
    let _ = n;
    None
}

fn main() {}
