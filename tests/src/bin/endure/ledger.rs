use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tests::Resources;

/// What each process holds: in calm, and at most since something began.
pub(crate) struct Ledger {
    entries: Arc<Mutex<Vec<Entry>>>,
}

#[derive(Clone, Copy)]
struct Entry {
    pid: u32,
    peak: Resources,
    /// When all was calm for the first time (the memory: after a cycle of all faults), and for the last one.
    first: Resources,
    last: Resources,
}

/// When it is that all is calm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calm {
    /// Before any fault.
    Before,
    /// When each fault has been there once.
    First,
    Later,
}

/// How much the memory of a process may grow from the first calm to the last: an allocator does not give
/// everything back at once.
const GROWTH_KIB: usize = 16 * 1024;

impl Ledger {
    /// Begins to watch.
    pub(crate) fn of(pids: impl Iterator<Item = u32>) -> Self {
        let entry = |pid| Entry {
            pid,
            peak: Resources::of(pid),
            first: Resources::of(pid),
            last: Resources::of(pid),
        };
        let entries = Arc::new(Mutex::new(pids.map(entry).collect::<Vec<_>>()));
        let watched = Arc::clone(&entries);
        thread::spawn(move || {
            loop {
                for entry in watched.lock().unwrap().iter_mut() {
                    entry.peak = entry.peak.or_more(Resources::of(entry.pid));
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        Self { entries }
    }

    /// Something begins: peaks count from now on.
    pub(crate) fn begin(&self) {
        for entry in self.entries.lock().unwrap().iter_mut() {
            entry.peak = Resources::of(entry.pid);
        }
    }

    /// Where a process had more, at the worst, than this beyond what it had in calm.
    pub(crate) fn peaks_beyond(&self, allowance: Resources) -> Vec<String> {
        let entries = self.entries.lock().unwrap();
        let beyond = entries.iter().filter(|entry| {
            let Entry { peak, first, .. } = entry;
            peak.threads > first.threads + allowance.threads
                || peak.descriptors > first.descriptors + allowance.descriptors
                || peak.resident_kib > first.resident_kib + allowance.resident_kib
        });
        let told = |entry: &Entry| {
            let Entry {
                pid, peak, first, ..
            } = entry;
            format!("process {pid} had {first} in calm, and {peak} at the worst")
        };
        beyond.map(told).collect()
    }

    /// All is calm: notes what everybody has.
    pub(crate) fn calm_down(&self, calm: Calm) {
        // Threads that were abandoned, and runtimes that were dropped, may be on their way out.
        thread::sleep(Duration::from_secs(2));
        let mut entries = self.entries.lock().unwrap();
        for entry in entries.iter_mut() {
            entry.last = Resources::of(entry.pid);
            match calm {
                Calm::Before => entry.first = entry.last,
                Calm::First => {
                    entry.first.resident_kib = entry.last.resident_kib;
                    // The one for time limits is started when it is needed for the first time.
                    entry.first.threads = entry.last.threads.min(entry.first.threads + 1);
                }
                Calm::Later => {}
            }
        }
    }

    /// What everybody has in calm.
    pub(crate) fn calm(&self) -> String {
        let entries = self.entries.lock().unwrap();
        let calm: Vec<_> = entries.iter().map(|entry| entry.last.to_string()).collect();
        calm.join("; ")
    }

    /// Who has more in the last calm than in the first one.
    pub(crate) fn grown(&self) -> Vec<String> {
        let entries = self.entries.lock().unwrap();
        let grown = entries.iter().filter(|entry| {
            let Entry { first, last, .. } = entry;
            last.threads > first.threads
                || last.descriptors > first.descriptors
                || last.resident_kib > first.resident_kib + GROWTH_KIB
        });
        let told = |entry: &Entry| {
            let Entry {
                pid, first, last, ..
            } = entry;
            format!("process {pid} had {first} in calm, and has {last} in the end")
        };
        grown.map(told).collect()
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.lock().unwrap();
        let peaks: Vec<_> = entries.iter().map(|entry| entry.peak.to_string()).collect();
        write!(f, "at most {}", peaks.join("; "))
    }
}
