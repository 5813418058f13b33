//! The directory backend over several processes, without any server. Case 14: cases 1–3 of the main job;
//! case 32.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::{End, Setup, scenarios, wait_until};
use worksharing::WorkSharing;

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

// ---- Case 32, number 11 of the issue on bounds: another process is frozen while it holds the write lock of a directory.

#[test]
fn write_lock_of_a_frozen_process_blocks_no_thread() {
    let directory = TempDir::new().unwrap();
    let sharing = WorkSharing::in_directory(directory.path()).unwrap();
    for number in 0..200 {
        let key = format!("before {number}");
        sharing.work(key).run_blocking(|| number);
    }
    let locks: Vec<_> = lock_files(&directory.path().join("values"))
        .iter()
        .map(|path| {
            let file = File::options().read(true).write(true).open(path).unwrap();
            file.lock().unwrap();
            file
        })
        .collect();
    assert!(!locks.is_empty(), "where are the write locks?");
    let one_thread = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let gaps = one_thread.block_on(async {
        let misses = async {
            for number in 0..20 {
                let key = format!("meanwhile {number}");
                assert_eq!(sharing.work(key).run(async || number).await, number);
                tokio::task::yield_now().await;
            }
        };
        gaps_of_a_timer(misses).await
    });
    let longest = gaps.iter().max().unwrap();
    let blocked = gaps.iter().filter(|gap| gap.as_millis() > 100).count();
    eprintln!(
        "the timer fired {} times, at most {longest:?} apart",
        gaps.len()
    );
    // Now and then a loaded machine holds a thread up.
    assert!(blocked <= 2, "{blocked} times, at most {longest:?}");
    drop(locks);
    // Once the other process goes on, all is as before.
    sharing.work("afterwards").run_blocking(|| 1);
    wait_until(Duration::from_secs(10), "values are stored again", || {
        let again = sharing.work("again");
        again.run_blocking(|| 1);
        sharing.work::<i32>("again").peek_blocking().is_some()
    });
}

/// How far apart a timer of 10 ms fired beside something else on the same thread.
async fn gaps_of_a_timer(beside: impl Future<Output = ()>) -> Vec<Duration> {
    let mut gaps = Vec::new();
    let timer = async {
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            gaps.push(last.elapsed());
            last = Instant::now();
        }
    };
    tokio::select! {
        biased;
        () = timer => unreachable!("it never ends"),
        () = beside => {}
    }
    gaps.push(Duration::ZERO);
    gaps
}

/// All files below a directory whose name says that they are for locking.
fn lock_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let is_lock = path.file_name().unwrap().to_string_lossy().contains("lock");
        if path.is_dir() {
            files.extend(lock_files(&path));
        } else if is_lock {
            files.push(path);
        }
    }
    files
}
