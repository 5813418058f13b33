//! Programs that are built with `panic = "abort"`, and without any feature. Case 33, and `detach` without tokio.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Built once, and again where something changed.
fn program(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("abort");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--package", "abort", "--locked", "--quiet"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_DEV_PANIC", "abort")
        .status()
        .unwrap();
    assert!(built.success());
    target.join("debug").join(name)
}

#[test]
fn type_that_panics_on_odd_input_is_shared() {
    let program = program("abort");
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let run = Command::new(&program).arg(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(run.status.success(), "{}: {said}", run.status);
        assert_eq!(said, "");
        String::from_utf8(run.stdout).unwrap()
    };
    let expected = |computed| {
        ["report", "code"]
            .map(|key| format!("{key} right=true computed={computed}\n"))
            .concat()
    };
    assert_eq!(run(), expected(true));
    assert_eq!(run(), expected(false));
}

#[test]
fn without_a_runtime_what_is_detached_runs_on_threads() {
    let run = Command::new(program("threads")).output().unwrap();
    let (told, said) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    assert!(run.status.success(), "{}: {said}", run.status);
    let expected = [
        "async on \"worksharing detached\"\n",
        "blocking on \"worksharing detached\"\n",
        "left true on Some(\"worksharing detached\"), Ok(())\n",
    ];
    assert_eq!(told, expected.concat());
}
