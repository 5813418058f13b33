use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use super::*;
use crate::changes::Epochs;
use crate::events::functions::Functions;

static FUNCTION: LazyLock<Arc<Function>> = LazyLock::new(|| Functions::default().of("test"));

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages = statm.split_whitespace().nth(1).unwrap();
    pages.parse::<usize>().unwrap() * 4_096
}

fn fill(epochs: &Epochs, text: &str, bytes: usize) -> Fill {
    let (key, stamp) = (Key::new(text), epochs.stamp());
    Fill {
        stamp,
        until: stamp.at + time_of(Duration::from_secs(3_600)),
        bytes,
        digests: vec![*key.digest()],
        key,
        version: 0,
        salt: Salt::NONE,
        function: Arc::clone(&FUNCTION),
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_million_keys_stay_within_the_bound() {
    const BOUND: usize = 32 << 20;
    // Other tests grow in the same process.
    const ALONE: &str = "WORKSHARING_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let name = "near::tests::a_million_keys_stay_within_the_bound";
        let ended = alone.args([name, "--exact", "--nocapture"]).env(ALONE, "1");
        assert!(ended.status().unwrap().success());
        return;
    }
    let epochs = Arc::new(Epochs::alone());
    let near = Near::new(BOUND, Duration::from_secs(1));
    let keeping = Keeping::<String>::new();
    epochs.stamp();
    let before = resident();
    for number in 0..1_000_000 {
        let value = format!("the value of {number}, and some more of it");
        let fill = fill(&epochs, &format!("key:{number}"), 160 + value.len());
        keeping.keep(&near, &epochs, &fill, &value);
    }
    let grown = resident().saturating_sub(before);
    let whose = fill(&epochs, "key:999999", 0);
    let found = keeping.find(&near, &epochs, whose.whose());
    println!("grown by {} KiB; the last one: {found:?}", grown >> 10);
    assert!(grown < BOUND, "{grown}");
}

/// Threads read and change the same keys, ten thousand changes in all, and no one finds a value from before a change
/// that had been told.
#[test]
fn ten_thousand_changes_at_once_are_each_seen() {
    const KEYS: usize = 100;
    const CHANGES: u64 = 10_000;
    let process = Process::new(KEYS);
    let process = &process;
    thread::scope(|scope| {
        for changer in 0..4 {
            scope.spawn(move || {
                for change in 0..CHANGES / 4 {
                    process.change((change as usize * 7 + changer) % KEYS);
                }
                process.changing.fetch_sub(1, Ordering::AcqRel);
            });
            scope.spawn(move || {
                let mut read = 0;
                while process.changing.load(Ordering::Acquire) > 0 {
                    process.read(read % KEYS);
                    read += 1;
                }
            });
        }
    });
    let sum = || (0..KEYS).map(|key| process.read(key)).sum::<u64>();
    assert_eq!(sum(), CHANGES);
    let found = process.found.load(Ordering::Relaxed);
    assert_eq!(sum(), CHANGES);
    let found = process.found.load(Ordering::Relaxed) - found;
    assert_eq!(found, KEYS as u64, "nothing changes any more");
}

/// A store of some numbers, and a process.
struct Process {
    /// Of each key what is stored, and what every call that begins now must find or something newer.
    keys: Vec<(Key, AtomicU64, AtomicU64)>,
    epochs: Epochs,
    near: Near,
    changing: AtomicU64,
    /// How often something was found in the process.
    found: AtomicU64,
}

impl Process {
    fn new(keys: usize) -> Self {
        let key = |at| (Key::new(format!("key:{at}")), 0.into(), 0.into());
        Self {
            keys: (0..keys).map(key).collect(),
            epochs: Epochs::alone(),
            near: Near::new(1 << 20, Duration::from_secs(1)),
            changing: AtomicU64::new(4),
            found: AtomicU64::new(0),
        }
    }

    fn change(&self, at: usize) {
        let (key, stored, told) = &self.keys[at];
        let new = stored.fetch_add(1, Ordering::AcqRel) + 1;
        self.epochs.changed(&[*key.digest()]);
        told.fetch_max(new, Ordering::AcqRel);
    }

    fn read(&self, at: usize) -> u64 {
        let (key, stored, told) = &self.keys[at];
        let expected = told.load(Ordering::Acquire);
        let keeping = Keeping::<u64>::new();
        let fill = fill(&self.epochs, key.characteristic(), 8);
        let found = keeping.find(&self.near, &self.epochs, fill.whose());
        let value = found.unwrap_or_else(|| {
            let value = stored.load(Ordering::Acquire);
            keeping.keep(&self.near, &self.epochs, &fill, &value);
            value
        });
        self.found
            .fetch_add(u64::from(found.is_some()), Ordering::Relaxed);
        assert!(value >= expected, "{value}, and {expected} was told");
        value
    }
}
