use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The program of an example: built as this one is, where something changed.
pub fn example(name: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--package", "examples", "--example", name])
        .args(["--locked", "--quiet", "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit());
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.output().expect("cannot start cargo");
    assert!(built.status.success(), "{name} does not build");
    let said = String::from_utf8(built.stdout).expect("cargo writes UTF-8");
    said.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo says where the program is")
}
