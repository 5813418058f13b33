//! What is explored: who calls, what may go wrong, what is built wrongly.

/// One caller: in which process it calls, and whether it asks for a refresh.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Callers of one process share its flight.
    pub process: u8,
    /// Whether the caller wants a computation that begins after it asked.
    pub refresh: bool,
}

/// How many of each fault may still happen.
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
    /// A follower or successor is not polled any more.
    pub frozen: u8,
    /// A caller's first look fails.
    pub failed_looks: u8,
    /// Somebody calls `invalidate`.
    pub invalidations: u8,
    /// An invalidation's answer is lost, so that its tombstone is sent again.
    pub resends: u8,
    /// A value is no longer fresh. It still stands.
    pub expiries: u8,
    /// An entry is gone, having stood for `fence_life` at least.
    pub evictions: u8,
}

/// One deviation from the protocol. Each must make a property fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A landing serves every follower, whatever it saw and whenever it joined.
    LandsForAll,
    /// A follower that joined after the leader's look was sent, but before it was answered, counts as early.
    EarlyUntilAnswered,
    /// A follower whose look failed is served as one that saw nothing.
    FailedLookIsNothing,
    /// A follower that saw nothing is served by a leader that was overtaken.
    OvertakenLeaderServes,
    /// A caller takes the answer of a look that was sent before it asked.
    JoinsOlderLook,
    /// An entry is gone before it has stood for `fence_life`.
    ShortLivedEntry,
    /// A tombstone that is sent again has its old id.
    TombstoneKeepsId,
    /// The leader does not look while its body runs, and puts over nothing however long ago it looked.
    NoFenceWatch,
    /// A look that finds nothing after a gap longer than `fence_life` makes up for the gap.
    GapForgiven,
    /// A put that was sent in time takes effect however late.
    LatePut,
    /// The put stores, whatever stands there.
    UnfencedPut,
    /// Only an outcome that was stored is landed; after any other the next one computes.
    OnlyStoredLands,
    /// The leader computes without having looked under the lock.
    NoLookUnderLock,
    /// A refresh that follows is served by a computation that was under way when it joined.
    RefreshTakesOlder,
    /// A refresh takes each entry that is not the one it saw, also if that was begun beside it.
    RefreshIgnoresBasedOn,
    /// A refresh that saw nothing takes an entry that is based on something.
    RefreshTrustsNothing,
    /// A successor that does not take up the lead is waited for.
    SuccessorNotRenewed,
}

/// The protocol with its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Who calls.
    pub callers: &'static [Ask],
    /// Whether a value stands in the store that nobody finds fresh.
    pub stored: bool,
    /// Whether all callers have looked before anything else happens.
    pub at_once: bool,
    /// What may go wrong.
    pub faults: Faults,
    /// What is built wrongly.
    pub mistake: Option<Mistake>,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        lost_sessions: 0,
        failures: 0,
        unstored: 0,
        drops: 0,
        frozen: 0,
        failed_looks: 0,
        invalidations: 0,
        resends: 0,
        expiries: 0,
        evictions: 0,
    };
}

impl Protocol {
    /// These callers, an empty store, no faults.
    pub const fn of(callers: &'static [Ask]) -> Self {
        Self {
            callers,
            stored: false,
            at_once: false,
            faults: Faults::NONE,
            mistake: None,
        }
    }

    /// The same where these faults may happen.
    pub const fn with(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The same where an old value stands in the store.
    pub const fn over_an_old_value(self) -> Self {
        Self {
            stored: true,
            ..self
        }
    }

    /// The same where all looks come first.
    pub const fn at_once(self) -> Self {
        Self {
            at_once: true,
            ..self
        }
    }

    /// The same, built wrongly.
    pub const fn mistaken(self, mistake: Mistake) -> Self {
        Self {
            mistake: Some(mistake),
            ..self
        }
    }

    pub(super) fn has(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }
}
