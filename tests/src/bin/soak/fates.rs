use std::fmt;

use tests::{GAVE_UP, NOTHING, Timeline, WorkerStats};

use crate::keys::BUSY;

/// What became of the calls.
#[derive(Default)]
pub(crate) struct Fates {
    calls: usize,
    errors: usize,
    nothing: usize,
    gave_up: usize,
    busy: usize,
    pub(crate) evictions: usize,
    pub(crate) stats: WorkerStats,
}

impl Fates {
    pub(crate) fn add(&mut self, timeline: &Timeline) {
        for answer in timeline.answers() {
            self.calls += 1;
            match answer.as_deref() {
                Ok(NOTHING) => self.nothing += 1,
                Ok(BUSY) => self.busy += 1,
                Ok(_) => {}
                Err(error) if error == GAVE_UP => self.gave_up += 1,
                Err(_) => self.errors += 1,
            }
        }
    }
}

impl fmt::Display for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls: {} errors, {} without a value, {} gave up, {} told to come back; {} evictions; of processes \
             that lived to the end {:?}",
            self.calls,
            self.errors,
            self.nothing,
            self.gave_up,
            self.busy,
            self.evictions,
            self.stats,
        )
    }
}
