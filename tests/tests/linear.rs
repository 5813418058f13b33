//! Case 46: random reads, invalidations, evictions, refreshes and kills in three processes, recorded and judged: no call
//! that began after an invalidation had returned is given what is from before it. One round with values in Redis, one with
//! values in PostgreSQL; for longer: `cargo run --release -p tests --bin soak -- --only changing --minutes N`.

use std::process::Command;

#[test]
fn no_call_is_given_what_is_from_before_an_invalidation() {
    let soak = Command::new(env!("CARGO_BIN_EXE_soak"))
        .args(["--only", "changing", "--seconds", "30", "--seed", "1"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&soak.stdout);
    let complained = String::from_utf8_lossy(&soak.stderr);
    println!("{told}");
    assert!(soak.status.success(), "{told}\n{complained}");
}
