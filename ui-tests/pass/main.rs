//! A program of its own, as a user begins it.

use worksharing::work_shared;

#[work_shared(ttl = "60s", key = "report:{year}:{region}")]
fn report(year: u32, region: &str) -> String {
    format!("{year} {region}")
}

#[work_shared]
async fn profile(id: u64) -> Result<String, std::io::Error> {
    Ok(std::fs::read_to_string(format!("{id}"))?)
}

fn main() {
    assert_eq!(report(2024, "DE"), report(2024, "DE"));
    let _ = profile(1);
}
