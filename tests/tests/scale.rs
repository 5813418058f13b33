//! The program that simulates many processes runs through all its states, with some dozens of sessions.
//! For real: `cargo run --release -p tests --bin scale`.

use std::process::Command;

#[test]
fn few_processes_are_measured_in_every_state() {
    let scale = Command::new(env!("CARGO_BIN_EXE_scale"))
        .args(["--quick", "--limit", "120"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&scale.stdout);
    let complained = String::from_utf8_lossy(&scale.stderr);
    println!("{told}");
    assert!(scale.status.success(), "{told}\n{complained}");
    let figures = |heading: &str| -> Vec<&str> {
        let line = told
            .lines()
            .find_map(|line| line.strip_prefix(&format!("| {heading} | ")));
        let line = line.unwrap_or_else(|| panic!("no {heading}: {told}"));
        line.trim_end_matches(" |").split(" | ").collect()
    };
    let count = 12.to_string();
    assert_eq!(figures("processes"), [&*count; 3]);
    assert_eq!(figures("kind"), ["real", "bare, before", "bare, after"]);
    // Of a bare process one session is that of the locks, and the other listens.
    assert_eq!(figures("sessions, quiet")[1..], ["24", "12"]);
    assert_eq!(figures("sessions, waiting"), ["24"; 3]);
    assert_eq!(figures("sessions, idle")[1..], ["24", "0"]);
    let memory = figures("MiB each");
    let memory: Vec<f64> = memory.iter().map(|it| it.parse().unwrap()).collect();
    assert!(
        memory.iter().all(|mib| (0.3..30.0).contains(mib)),
        "{memory:?}"
    );
}
