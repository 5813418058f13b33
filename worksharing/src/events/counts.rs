//! Counts, and what they are called.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident $count:ident),* $(,)?) => {
        /// Counts since a runtime was built, of calls unless said otherwise.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// One of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Count {
            $($count,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct Counts {
            $($name: AtomicU64,)*
        }

        impl Counts {
            pub(super) fn count(&self, count: Count) {
                let counter = match count {
                    $(Count::$count => &self.$name,)*
                };
                counter.fetch_add(1, Ordering::Relaxed);
            }

            pub(super) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl Stats {
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counts! {
    /// Answered from the store, without waiting.
    hits Hits,
    /// Answered from this process, with a value that [`local`](crate::Work::local) keeps. None of them is in `hits`.
    local Local,
    /// Bodies that were run, whatever came of them.
    computed Computed,
    /// Waited for another caller, in this process or elsewhere.
    waited Waited,
    /// Given a value that another caller computed meanwhile.
    shared Shared,
    /// Given a value past its time to live, as `stale_while_revalidate` and `stale_if_error` let them.
    stale Stale,
    /// Waited for as long as `wait` lets them, and went on without.
    timed_out TimedOut,
    /// Bodies that ended in an error.
    failed Failed,
    /// Values stored.
    stored Stored,
    /// Values not stored because something newer stood there: an invalidation, or another's value after
    /// the lock was lost.
    refused Refused,
    /// Times that a step had to do without a server: a read that failed counts as a miss, a value was not
    /// stored, a body ran without the lock.
    degraded Degraded,
    /// Entries that could not be read: another version, another structure, damaged bytes. Each is a miss.
    unreadable Unreadable,
    /// Asked for from inside the computation of the same key, and computed inline.
    recursive Recursive,
}
