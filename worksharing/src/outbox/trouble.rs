use std::fmt;
use std::time::Instant;

use crate::Error;
use crate::events::RateLimited;
use crate::sync::{Mutex, lock};

/// What is said of an outbox.
#[derive(Default)]
pub(super) struct Troubles {
    /// Since when nothing can be laid.
    since: Mutex<Option<Instant>>,
    late: RateLimited,
    strange: RateLimited,
    forgotten: RateLimited,
    untold: RateLimited,
}

impl Troubles {
    /// What was committed cannot be laid now.
    pub(super) fn begin(&self, error: &Error) {
        let mut since = lock(&self.since);
        let is_new = since.is_none();
        since.get_or_insert_with(Instant::now);
        drop(since);
        if is_new {
            tracing::warn!(
                error = %error.chain(),
                "what transactions invalidate is not laid now, and stays in the outbox until it can be"
            );
        }
    }

    /// It can be laid again.
    pub(super) fn end(&self) {
        let since = lock(&self.since).take();
        if let Some(since) = since {
            let lasted = since.elapsed();
            tracing::info!(?lasted, "what transactions invalidate is laid again");
        }
    }

    /// A look did not wait any longer.
    pub(super) fn late(&self) {
        self.late.say(|kept_back| {
            tracing::warn!(
                kept_back,
                "the outbox was not empty a second after the start: what is stored may be from before a transaction that \
                 has committed"
            );
        });
    }

    /// What was laid was told to nobody.
    pub(super) fn untold(&self, error: &Error) {
        self.untold.say(|kept_back| {
            tracing::warn!(
                error = %error.chain(),
                kept_back,
                "processes were not told of what transactions have invalidated: what they keep by `local` they may use for \
                 as long as that"
            );
        });
    }

    /// Rows were about nothing of ours.
    pub(super) fn strange(&self, rows: usize) {
        self.strange.say(|kept_back| {
            tracing::warn!(
                rows,
                kept_back,
                "rows of the outbox were left out: of an unknown kind, or of a text that is no key (64 KiB at most)"
            );
        });
    }

    /// The store has not been looked after for so long that its rows may be gone.
    pub(super) fn forgotten(&self, store: &str) {
        self.forgotten.say(|kept_back| {
            tracing::warn!(
                store,
                kept_back,
                "no process has used this store for three days or more: what transactions have invalidated meanwhile may \
                 still be in it; empty it, or wait until what is in it has expired"
            );
        });
    }
}

impl fmt::Debug for Troubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Troubles")
    }
}
