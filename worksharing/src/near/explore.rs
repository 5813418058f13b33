//! What is kept, and what is heard of changes, under shuttle.
//!
//! Run by `cargo test -p worksharing --features __shuttle`.

use std::sync::Arc;
use std::time::Instant;

use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;

use super::*;
use crate::changes::Epochs;
use crate::events::functions::Functions;
use crate::sync::lock;

/// A process, and a store of one number.
struct Process {
    stored: AtomicU64,
    epochs: Epochs,
    near: Near,
    /// Whether the server tells this process of changes.
    is_told: Mutex<bool>,
}

impl Process {
    fn new(epochs: Epochs) -> Arc<Self> {
        Arc::new(Self {
            stored: AtomicU64::new(0),
            epochs,
            near: Near::new(1 << 20, Duration::ZERO),
            is_told: Mutex::new(true),
        })
    }

    /// What a call returns.
    fn read(&self) -> u64 {
        let keeping = Keeping::<u64>::new();
        let key = Key::new("number");
        let whose = Whose {
            characteristic: "number",
            version: 0,
            salt: Salt::NONE,
        };
        if let Some(kept) = keeping.find(&self.near, &self.epochs, whose) {
            return kept;
        }
        let stamp = self.epochs.stamp();
        let found = self.stored.load(Ordering::SeqCst);
        thread::yield_now();
        let fill = Fill {
            stamp,
            until: Time::MAX,
            bytes: 8,
            digests: vec![*key.digest()],
            key,
            version: 0,
            salt: Salt::NONE,
            function: Functions::default().of("number"),
        };
        keeping.keep(&self.near, &self.epochs, &fill, &found);
        found
    }

    /// Returns what no call that begins later may return less than, if this process hears of it.
    fn change(&self) -> Option<u64> {
        let new = self.stored.fetch_add(1, Ordering::SeqCst) + 1;
        let is_told = lock(&self.is_told);
        is_told.then(|| {
            self.epochs.changed(&[*Key::new("number").digest()]);
            new
        })
    }

    fn change_and_read(&self) {
        if let Some(new) = self.change() {
            let found = self.read();
            assert!(found >= new, "{found} after {new}");
        }
    }
}

fn spawn(process: &Arc<Process>, run: fn(&Process)) -> thread::JoinHandle<()> {
    let process = Arc::clone(process);
    thread::spawn(move || run(&process))
}

fn explore(scenario: fn()) {
    shuttle::check_random(scenario, 5_000);
    shuttle::check_pct(scenario, 5_000, 3);
}

#[test]
fn no_value_from_before_a_change_is_found_after_it() {
    explore(|| {
        let process = Process::new(Epochs::alone());
        let reads = |process: &Process| _ = (process.read(), process.read());
        let threads = [
            spawn(&process, Process::change_and_read),
            spawn(&process, Process::change_and_read),
            spawn(&process, reads),
            spawn(&process, reads),
        ];
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(process.read(), 2);
    });
}

#[cfg(feature = "postgres")]
#[test]
fn what_was_read_while_nothing_was_heard_is_not_found_after_it() {
    /// The connection that tells of changes is lost, and another is made.
    fn reconnect(process: &Process) {
        *lock(&process.is_told) = false;
        process.epochs.deaf();
        thread::yield_now();
        *lock(&process.is_told) = true;
        process.epochs.listening(Instant::now());
        let stored = process.stored.load(Ordering::SeqCst);
        let found = process.read();
        // What is kept now was read after it, or its change was told.
        assert!(found >= stored, "{found} after {stored}");
    }
    explore(|| {
        let process = Process::new(Epochs::new());
        process.epochs.listening(Instant::now());
        let reads = |process: &Process| _ = (process.read(), process.read());
        let threads = [
            spawn(&process, |process| _ = process.change()),
            spawn(&process, reconnect),
            spawn(&process, reads),
        ];
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(process.read(), 1);
    });
}
