//! What the runtime counts and says.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::sync::{Mutex, lock};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counts since a runtime was built, of calls unless said otherwise.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counts {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counts {
            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counts! {
    /// Answered from the store, without waiting.
    hits,
    /// Bodies that were run, whatever came of them.
    computed,
    /// Waited for another caller, in this process or elsewhere.
    waited,
    /// Given a value that another caller computed meanwhile.
    shared,
    /// Values stored.
    stored,
    /// Values not stored because something newer stood there: an invalidation, or another's value after
    /// the lock was lost.
    refused,
    /// Times that a step had to do without a server: a read that failed counts as a miss, a value was not
    /// stored, a body ran without the lock.
    degraded,
    /// Entries that could not be read: another version, another structure, damaged bytes. Each is a miss.
    unreadable,
    /// Asked for from inside the computation of the same key, and computed inline.
    recursive,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Says a warning at most once a minute, with how many were kept back.
#[derive(Default)]
pub(crate) struct RateLimited(Mutex<(Option<Instant>, u64)>);

const SAY_EVERY: Duration = Duration::from_secs(60);

impl RateLimited {
    /// Calls `say` with the number of times kept back since it was last called, if it is time.
    pub(crate) fn say(&self, say: impl FnOnce(u64)) {
        let mut last = lock(&self.0);
        if last.0.is_some_and(|at| at.elapsed() < SAY_EVERY) {
            last.1 += 1;
            return;
        }
        let kept_back = std::mem::take(&mut last.1);
        last.0 = Some(Instant::now());
        drop(last);
        say(kept_back);
    }
}

impl fmt::Debug for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RateLimited")
    }
}

/// Remembers which keys something was said of, so that it is said once for each.
#[derive(Debug, Default)]
pub(crate) struct OncePerKey(Mutex<HashSet<[u8; 16]>>);

impl OncePerKey {
    /// Past this number of keys nothing more is said.
    const MOST: usize = 1_000;

    /// Whether this is the first time for the key.
    pub(crate) fn first(&self, digest: &[u8; 16]) -> bool {
        let mut said = lock(&self.0);
        said.len() < Self::MOST && said.insert(*digest)
    }
}
