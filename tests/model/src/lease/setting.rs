//! What is explored: how many processes, what may go wrong, what is built wrongly.

/// How many of each fault may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A process dies. Its lease stays until it runs out.
    pub crashes: u8,
    /// A lease runs out while its holder lives.
    pub lapses: u8,
    /// The row is lost: swept, or the unlogged table was emptied after a crash of the server.
    pub lost_rows: u8,
    /// A computation fails.
    pub failures: u8,
    /// A caller is dropped, or gives up a wait that takes too long, wherever it is.
    pub drops: u8,
    /// The connection is lost or stalls: answers are lost, and the batch is sent again on the next one.
    pub lost_connections: u8,
    /// A statement of a lost connection takes effect after all, later.
    pub late_statements: u8,
    /// `invalidate` lays a tombstone.
    pub invalidations: u8,
}

/// One deviation from the protocol. Each must make a property fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The put stores, whatever stands there.
    UnfencedPut,
    /// Before the put the leader looks whether its token still stands, in a statement of its own.
    TokenLookedAtBeforePut,
    /// The server chooses the token. It is noted as soon as the statement has run, and what is noted is
    /// renewed; a batch that is sent again finds its own lease busy.
    NotedBeforeAnswer,
    /// A lease that is live is busy, also for whoever asks with its token.
    OwnLeaseIsBusy,
    /// All guards of a process have the same token.
    TokenOfProcess,
    /// What was granted to a caller that is gone is not given back.
    KeptForNobody,
    /// The release does not compare the token.
    ReleaseWithoutToken,
    /// The renewal does not compare the token.
    RenewWithoutToken,
    /// A renewal that comes after the release takes the lease up again.
    RenewAfterRelease,
    /// The lease is taken though it has not run out.
    TakeWhileLive,
    /// The lease does not run out.
    LeaseForEver,
}

/// The protocol with its bounds.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// How many processes there are.
    pub processes: usize,
    /// How many calls each of them makes, one after the other.
    pub calls: u8,
    /// What may go wrong.
    pub faults: Faults,
    /// What is built wrongly.
    pub mistake: Option<Mistake>,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        crashes: 0,
        lapses: 0,
        lost_rows: 0,
        failures: 0,
        drops: 0,
        lost_connections: 0,
        late_statements: 0,
        invalidations: 0,
    };
}

impl Protocol {
    /// The same where these faults may happen.
    pub const fn with(self, faults: Faults) -> Self {
        Self { faults, ..self }
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
