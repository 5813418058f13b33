//! Case 13 and the bounds of cases 26 to 35, for as long as a test may take. The long ones:
//! `cargo run --release -p tests --bin soak -- --minutes N`, and `--bin endure`.

use std::process::Command;

#[test]
fn soak_for_twenty_seconds() {
    run(env!("CARGO_BIN_EXE_soak"), "20");
}

#[test]
fn soak_through_long_faults_for_sixty_seconds() {
    run(env!("CARGO_BIN_EXE_endure"), "60");
}

fn run(program: &str, seconds: &str) {
    let soak = Command::new(program)
        .args(["--seconds", seconds])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&soak.stdout);
    let complained = String::from_utf8_lossy(&soak.stderr);
    println!("{told}");
    assert!(soak.status.success(), "{told}\n{complained}");
}
