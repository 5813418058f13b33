//! What a process tells the dashboard of itself.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use worksharing::{Stats, WorkSharing};

/// Sent every now and then.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) process: u32,
    pub(crate) host: String,
    /// What its clock shows.
    pub(crate) now: u64,
    pub(crate) calls: Vec<Told>,
    pub(crate) counted: Counted,
}

/// What a process has counted since it began: in all, and by function.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) all: Numbers,
    pub(crate) functions: BTreeMap<String, Numbers>,
}

impl Counted {
    pub(crate) fn by(sharing: &WorkSharing) -> Self {
        let functions = sharing.stats_by_function();
        Self {
            all: sharing.stats().into(),
            functions: functions
                .map(|(name, stats)| (name.to_owned(), stats.into()))
                .collect(),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.all = self.all + other.all;
        for (name, numbers) in &other.functions {
            let sum = self.functions.entry(name.clone()).or_default();
            *sum = *sum + *numbers;
        }
    }
}

/// A step of a call. Calls of a process are told apart by their numbers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) call: u64,
    pub(crate) step: Step,
    /// Milliseconds since 1970.
    pub(crate) at: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Step {
    Called { key: String, function: String },
    BodyBegins,
    BodyEnds { well: bool },
    Answered,
}

/// How often what happened.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Numbers {
    /// Answered from the store or from this process, fresh or not.
    pub(crate) hits: u64,
    pub(crate) shared: u64,
    pub(crate) computed: u64,
    /// Bodies that ended in an error, and waits that were too long.
    pub(crate) errors: u64,
    pub(crate) degraded: u64,
}

impl From<Stats> for Numbers {
    fn from(stats: Stats) -> Self {
        Self {
            hits: stats.hits + stats.local + stats.stale,
            shared: stats.shared,
            computed: stats.computed,
            errors: stats.failed + stats.timed_out,
            degraded: stats.degraded,
        }
    }
}

impl std::ops::Add for Numbers {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            shared: self.shared + other.shared,
            computed: self.computed + other.computed,
            errors: self.errors + other.errors,
            degraded: self.degraded + other.degraded,
        }
    }
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
