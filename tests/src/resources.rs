use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// What a process has of what must not grow, as Linux tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Threads.
    pub threads: usize,
    /// Open file descriptors.
    pub descriptors: usize,
    /// Resident memory, in KiB.
    pub resident_kib: usize,
}

impl Resources {
    /// What this process has now.
    ///
    /// # Panics
    /// There is no such process.
    pub fn of(pid: u32) -> Self {
        Self {
            threads: count_in(pid, "task"),
            descriptors: count_in(pid, "fd"),
            resident_kib: status(pid, "VmRSS:"),
        }
    }

    /// The most that each of these processes had of each within this time.
    pub fn most(pids: &[u32], within: Duration) -> Vec<Self> {
        let mut most = vec![Self::default(); pids.len()];
        let began = Instant::now();
        while began.elapsed() < within {
            for (most, pid) in most.iter_mut().zip(pids) {
                *most = most.or_more(Self::of(*pid));
            }
            thread::sleep(Duration::from_millis(100));
        }
        most
    }

    /// Of each the greater one.
    pub fn or_more(self, other: Self) -> Self {
        Self {
            threads: self.threads.max(other.threads),
            descriptors: self.descriptors.max(other.descriptors),
            resident_kib: self.resident_kib.max(other.resident_kib),
        }
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} threads, {} descriptors, {:.1} MiB",
            self.threads,
            self.descriptors,
            self.resident_kib as f64 / 1024.0
        )
    }
}

/// The most resident memory that the process ever had, in KiB.
pub fn peak_kib(pid: u32) -> usize {
    status(pid, "VmHWM:")
}

/// The names of the process's threads.
pub fn thread_names(pid: u32) -> Vec<String> {
    let threads = fs::read_dir(proc(pid, "task")).expect("no /proc for the process");
    let names = threads.flatten().map(|thread| {
        // It may have ended since.
        fs::read_to_string(thread.path().join("comm")).unwrap_or_default()
    });
    names.map(|name| name.trim().to_owned()).collect()
}

/// How often each thread of the process that has such a name has gone to sleep so far.
pub fn sleeps(pid: u32, name: &str) -> BTreeMap<PathBuf, usize> {
    let threads = fs::read_dir(proc(pid, "task")).expect("no /proc for the process");
    let paths = threads.flatten().map(|thread| thread.path());
    let named = paths.filter(|path| {
        let its_name = fs::read_to_string(path.join("comm"));
        its_name.is_ok_and(|its_name| its_name.starts_with(name))
    });
    named
        .map(|path| (path.clone(), field(&path, "voluntary_ctxt_switches:")))
        .collect()
}

fn proc(pid: u32, what: &str) -> PathBuf {
    format!("/proc/{pid}/{what}").into()
}

fn count_in(pid: u32, what: &str) -> usize {
    fs::read_dir(proc(pid, what))
        .unwrap_or_else(|error| panic!("process {pid} is gone, or this is not Linux: {error}"))
        .count()
}

fn status(pid: u32, name: &str) -> usize {
    field(&proc(pid, ""), name)
}

/// Of the `status` of a process or thread. A thread may have ended since.
fn field(of: &Path, name: &str) -> usize {
    let status = fs::read_to_string(of.join("status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}
