//! Case 13: a short soak. `cargo run --release -p tests --bin soak -- --minutes N` is the long one.

use std::process::Command;

#[test]
fn soak_for_twenty_seconds() {
    let soak = Command::new(env!("CARGO_BIN_EXE_soak"))
        .args(["--minutes", "0.33"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&soak.stdout);
    let complained = String::from_utf8_lossy(&soak.stderr);
    println!("{told}");
    assert!(soak.status.success(), "{told}\n{complained}");
}
