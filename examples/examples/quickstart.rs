//! The attribute, without any server: `cargo run --release --example quickstart`
//!
//! Two threads ask for the same report, and one for another. Nothing is installed, so it is shared in the
//! memory of this process. With `WorkSharing::from_env()?.install()?` first, it would be shared by every
//! process that has the same servers.

use std::{thread, time::Duration};

use worksharing::work_shared;

#[work_shared(ttl = "60s", key = "report:{year}:{region}")]
fn report(year: u32, region: &str) -> String {
    println!("computing {year} {region} …");
    thread::sleep(Duration::from_secs(1));
    format!("all is well in {region} in {year}")
}

fn main() {
    thread::scope(|scope| {
        for region in ["DE", "DE", "FR"] {
            scope.spawn(move || println!("{}", report(2024, region)));
        }
    });
    println!("{}", report(2024, "DE")); // stored: at once
}
