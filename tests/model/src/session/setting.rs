//! What is explored: how many processes, what may go wrong, what is built wrongly.

/// How many of each fault may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A process dies: its session's locks vanish, and nobody is notified.
    pub crashes: u8,
    /// A session is lost and comes back at once; the body goes on.
    pub lost_sessions: u8,
    /// A session's connection stalls and is given up: what was sent is sent again in a new session, while the
    /// server keeps the old one for a time.
    pub stalls: u8,
    /// A statement takes effect in a session that was given up.
    pub late_statements: u8,
    /// The connection that listens is lost; what is notified meanwhile is never heard.
    pub lost_listeners: u8,
    /// A computation fails: nothing is stored.
    pub failures: u8,
    /// A caller is dropped, wherever it is.
    pub drops: u8,
    /// Whoever watches looks at the key, where nobody may count on that.
    pub looks: u8,
    /// `invalidate` lays a tombstone.
    pub invalidations: u8,
    /// The store loses its entry.
    pub evictions: u8,
}

/// One deviation from the protocol. Each must make a property fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The statement that looks for interest and notifies goes first, and the key is unlocked after.
    CheckBeforeUnlock,
    /// A waiter that has marked its interest sleeps at once.
    NoLookAfterMark,
    /// A waiter that has marked its interest gets again, but does not try again.
    NoTryAfterMark,
    /// A shared try that was refused counts as a mark.
    RefusedMarkCounts,
    /// A notification that comes before the waiter sleeps is dropped.
    WakeBeforeSleepDropped,
    /// A waiter that is woken drops its mark, and sleeps again without one if the key is busy.
    MarkDroppedOnWake,
    /// A key that was granted to a caller who is gone is unlocked, and nobody is notified.
    QuietUnlock,
    /// A release wakes one waiter only.
    WakesOne,
    /// After the listening connection was lost, the waiters are left asleep.
    SilentRelisten,
    /// The put stores, whatever stands there.
    UnfencedPut,
    /// The leader computes without having looked again under the lock.
    NoGetUnderLock,
    /// A release is sent in whatever session there is, not only in the one that granted the lock.
    ReleaseInAnySession,
    /// A waiter that finds the key busy computes nevertheless.
    ComputesWhenBusy,
    /// After a stall the batch is sent again in the same session, which counts what it holds twice.
    SameSessionAgain,
    /// The answer of a session that was given up is taken for one of the session that there is now.
    OldAnswerCounts,
    /// A session that was given up is kept open.
    OldSessionKept,
    /// The mark of a waiter that has gone is not taken back.
    MarkKept,
    /// Whoever watches tells those who wait before its statement ends, which keeps them out.
    TellsBeforeItLooked,
    /// Whoever watches lets go of a free key before it tells those who wait, and may go in between.
    LooksWithoutTelling,
}

/// The protocol with its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// How many processes there are.
    pub processes: usize,
    /// How many calls each of them makes, one after the other.
    pub calls: u8,
    /// Whether sleepers look up from time to time, un-notified.
    pub poll: bool,
    /// Whether somebody watches for all who wait: as long as nobody holds the key, in the end they are told.
    pub watch: bool,
    /// Whether all listen from the beginning, or each begins to at some time.
    pub listens: bool,
    /// What may go wrong.
    pub faults: Faults,
    /// What is built wrongly.
    pub mistake: Option<Mistake>,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        crashes: 0,
        lost_sessions: 0,
        stalls: 0,
        late_statements: 0,
        lost_listeners: 0,
        failures: 0,
        drops: 0,
        looks: 0,
        invalidations: 0,
        evictions: 0,
    };
}

impl Protocol {
    /// The same where these faults may happen.
    pub const fn with(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The same where sleepers look up by themselves, or do not.
    pub const fn polling(self, poll: bool) -> Self {
        Self { poll, ..self }
    }

    /// The same where somebody watches for all who wait.
    pub const fn watched(self) -> Self {
        Self {
            watch: true,
            ..self
        }
    }

    /// The same where each begins to listen at some time.
    pub const fn listening_later(self) -> Self {
        Self {
            listens: false,
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
}
