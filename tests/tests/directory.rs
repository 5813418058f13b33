//! The directory backend over several processes, without any server. Case 14: cases 1–3 of the main job.

use std::time::Duration;

use tempfile::TempDir;
use tests::{End, Setup, scenarios};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");

/// A directory has nobody who could wake the waiters: they look again, every 100 ms or so.
const HANDOVER: Duration = Duration::from_millis(500);

fn directory() -> (TempDir, Setup) {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::in_directory(directory.path());
    (directory, setup)
}

#[test]
fn cold_key_in_eight_processes_is_computed_once() {
    let (_directory, setup) = directory();
    scenarios::cold_key(WORKER, &setup, 8, Duration::from_secs(2), HANDOVER);
}

#[test]
fn long_body_in_eight_processes_is_computed_once() {
    let (_directory, setup) = directory();
    scenarios::cold_key(WORKER, &setup, 8, Duration::from_secs(12), HANDOVER);
}

#[test]
fn failures_follow_one_another() {
    let (_directory, setup) = directory();
    scenarios::failures(WORKER, &setup, 8, End::Fail, HANDOVER);
}

#[test]
fn panics_follow_one_another() {
    let (_directory, setup) = directory();
    scenarios::failures(WORKER, &setup, 3, End::Panic, HANDOVER);
}

#[test]
fn killed_leader_is_followed_by_one_other() {
    let (_directory, setup) = directory();
    scenarios::killed_leader(WORKER, &setup, 8, Duration::from_millis(1_500));
}

#[test]
fn crowd_of_threads_and_tasks_computes_once() {
    let (_directory, setup) = directory();
    scenarios::crowd(WORKER, &setup, 4, 50);
}
