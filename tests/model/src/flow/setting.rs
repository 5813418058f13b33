//! What is explored: who calls, with which options, and what may go wrong.

use super::{Age, Mistake};

/// One caller: in which process it calls, and whether it asks for a refresh.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Callers of one process share its flight.
    pub process: u8,
    /// Whether the caller wants a computation that begins after it asked.
    pub refresh: bool,
}

/// The function's options.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A lead is run by a task of its own.
    pub detach: bool,
    /// A value has a stale phase between fresh and expired.
    pub stale_while_revalidate: bool,
    /// A failure is answered with an expired value.
    pub stale_if_error: bool,
    /// The key has a tag.
    pub tagged: bool,
    /// How a look reads the entry and the tag's marker.
    pub reads: Reads,
}

/// How a look reads two cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// At one moment.
    #[default]
    AtOnce,
    /// The entry, and then the marker.
    EntryFirst,
    /// The marker, and then the entry.
    MarkerFirst,
}

/// How many of each fault, or other chance, may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// The holder's lock session is lost; the body goes on.
    pub lost_sessions: u8,
    /// A computation fails: it has no outcome that can be shared.
    pub failures: u8,
    /// An outcome is not stored: a `None`, a refusal by `cache_if`, a shared error, a value too large.
    pub unstored: u8,
    /// A caller is dropped.
    pub drops: u8,
    /// A detached task is dropped: its runtime is shut down.
    pub deaths: u8,
    /// A follower or successor is not polled any more.
    pub frozen: u8,
    /// A caller's first look fails.
    pub failed_looks: u8,
    /// Somebody calls `invalidate`.
    pub invalidations: u8,
    /// Somebody calls `invalidate_tag`.
    pub tag_invalidations: u8,
    /// An invalidation's answer is lost, so that its tombstone or marker is sent again.
    pub resends: u8,
    /// A leader of another key with the tag lays a marker that is missing. The answer may be lost, so that it is sent
    /// again.
    pub laid_elsewhere: u8,
    /// A value gets older: fresh, stale where there is such a phase, expired. It still stands.
    pub expiries: u8,
    /// An entry is gone, having stood for `fence_life` at least.
    pub evictions: u8,
    /// The tag's marker is gone, having stood for `fence_life` at least.
    pub lost_markers: u8,
    /// A fresh hit decides to refresh early.
    pub early: u8,
    /// A caller has waited for too long, and is to compute.
    pub timeouts: u8,
}

/// The protocol with its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Who calls.
    pub callers: &'static [Ask],
    /// With which options.
    pub options: Options,
    /// How old the value is that stands in the store, if there is one.
    pub stored: Option<Age>,
    /// Whether all callers have looked before anything else happens.
    pub at_once: bool,
    /// What may go wrong.
    pub faults: Faults,
    /// What is built wrongly.
    pub mistake: Option<Mistake>,
}

impl Options {
    /// None of them.
    pub const NONE: Self = Self {
        detach: false,
        stale_while_revalidate: false,
        stale_if_error: false,
        tagged: false,
        reads: Reads::AtOnce,
    };
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        lost_sessions: 0,
        failures: 0,
        unstored: 0,
        drops: 0,
        deaths: 0,
        frozen: 0,
        failed_looks: 0,
        invalidations: 0,
        tag_invalidations: 0,
        resends: 0,
        laid_elsewhere: 0,
        expiries: 0,
        evictions: 0,
        lost_markers: 0,
        early: 0,
        timeouts: 0,
    };
}

impl Protocol {
    /// These callers, an empty store, no options, no faults.
    pub const fn of(callers: &'static [Ask]) -> Self {
        Self {
            callers,
            options: Options::NONE,
            stored: None,
            at_once: false,
            faults: Faults::NONE,
            mistake: None,
        }
    }

    /// The same where these faults may happen.
    pub const fn with(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The same where a value of this age stands in the store.
    pub const fn over(self, age: Age) -> Self {
        Self {
            stored: Some(age),
            ..self
        }
    }

    /// The same where an expired value stands in the store.
    pub const fn over_an_old_value(self) -> Self {
        self.over(Age::Expired)
    }

    /// The same where all looks come first.
    pub const fn at_once(self) -> Self {
        Self {
            at_once: true,
            ..self
        }
    }

    /// The same with detached leads.
    pub const fn detached(mut self) -> Self {
        self.options.detach = true;
        self
    }

    /// The same with a stale phase.
    pub const fn revalidating(mut self) -> Self {
        self.options.stale_while_revalidate = true;
        self
    }

    /// The same with old values for failures.
    pub const fn stale_if_error(mut self) -> Self {
        self.options.stale_if_error = true;
        self
    }

    /// The same with a tag. Its marker stands there where a value does.
    pub const fn tagged(mut self) -> Self {
        self.options.tagged = true;
        self
    }

    /// The same where looks read like this.
    pub const fn reading(mut self, reads: Reads) -> Self {
        self.options.reads = reads;
        self
    }

    /// The same, built wrongly.
    pub const fn mistaken(self, mistake: Mistake) -> Self {
        Self {
            mistake: Some(mistake),
            ..self
        }
    }

    /// Whether to remember what each process has returned: it costs states.
    pub(super) const fn tracks_order(&self) -> bool {
        self.options.stale_while_revalidate || self.options.stale_if_error
    }

    pub(super) fn has(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }
}
