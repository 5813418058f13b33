//! What the runtime counts and says.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::sync::{Mutex, lock};
use crate::{Error, Key};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counts since a runtime was built, of calls unless said otherwise.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        struct Counts {
            $($name: AtomicU64,)*
        }

        impl Counts {
            fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counts! {
    /// Answered from the store, without waiting.
    hits,
    /// Answered from this process, with a value that [`local`](crate::Work::local) keeps. None of them is in `hits`.
    local,
    /// Bodies that were run, whatever came of them.
    computed,
    /// Waited for another caller, in this process or elsewhere.
    waited,
    /// Given a value that another caller computed meanwhile.
    shared,
    /// Given a value past its time to live, as `stale_while_revalidate` and `stale_if_error` let them.
    stale,
    /// Waited for as long as `wait` lets them, and went on without.
    timed_out,
    /// Bodies that ended in an error.
    failed,
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

/// Something that happened to a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    /// Its look found a fresh value.
    Hit,
    /// It began to wait for another lead, in this process or elsewhere.
    Waited,
    /// It was given what another lead computed or found.
    Shared,
    /// It was given a value past its time to live.
    Stale,
    /// It has waited for as long as it may.
    TimedOut,
    /// Its body ended in an error.
    Failed,
    /// Its body began to run.
    Computed,
    /// Its value was stored.
    Stored,
    /// Its value was not stored: something newer stands there.
    Refused,
    /// Its value was not stored: its time to live is zero.
    NoLifetime,
    /// Its value was not stored: it is larger than so many bytes.
    TooLarge(usize),
    /// Its value cannot be encoded, or a closure about it panicked.
    Unshareable(&'a str),
    /// A stored entry could not be read.
    Unreadable(&'a str),
    /// A step went on without the store.
    WithoutStore(&'a Error),
    /// Its body runs without the lock.
    WithoutLock(&'a Error),
    /// Other processes were not told that its key has changed.
    Untold(&'a Error),
    /// It is inside the computation of its own key.
    Recursive,
    /// It would have to block a thread that holds a suspended lead.
    WouldBlock,
    /// Its body panicked detached, and nobody is there to be told.
    Panicked(&'a str),
    /// Its computation goes on for this long.
    Long(Duration),
    /// A body returned so many values that it was not asked for.
    Unasked(usize),
    /// It has waited for so many computations of others that left nothing to share.
    Convoy(u16),
}

/// Who an event is about: the label of the function, and its key.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) name: &'static str,
    pub(crate) key: &'a Key,
}

/// What becomes of events: counts and log lines.
#[derive(Debug, Default)]
pub(crate) struct Events {
    counts: Counts,
    lock: RateLimited,
    store: RateLimited,
    untold: RateLimited,
    refused: RateLimited,
    recursion: RateLimited,
    would_block: RateLimited,
    long: RateLimited,
    convoy: RateLimited,
    panicked: RateLimited,
    unasked: RateLimited,
    no_lifetime: RateLimited,
    too_large: OncePerKey,
    unreadable: OncePerKey,
    unshareable: OncePerKey,
}

macro_rules! say {
    ($level:ident, $limit:expr, $subject:expr, { $($fields:tt)* } $message:literal) => {
        $limit.say(|kept_back| {
            tracing::$level!(name = $subject.name, key = $subject.key.hex(), kept_back, $($fields)* $message);
        })
    };
}

macro_rules! say_once {
    ($limit:expr, $subject:expr, { $($fields:tt)* } $message:literal) => {
        if $limit.first($subject.key.digest()) {
            tracing::warn!(name = $subject.name, key = $subject.key.hex(), $($fields)* $message);
        }
    };
}

impl Events {
    pub(crate) fn stats(&self) -> Stats {
        self.counts.snapshot()
    }

    /// A call was answered with a value that is kept in this process.
    pub(crate) fn found_here(&self) {
        self.counts.local.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn record(&self, subject: Subject<'_>, event: Event<'_>) {
        self.count(event);
        self.log(subject, event);
    }

    fn count(&self, event: Event<'_>) {
        let counts = &self.counts;
        let counter = match event {
            Event::Hit => &counts.hits,
            Event::Waited => &counts.waited,
            Event::Shared => &counts.shared,
            Event::Stale => &counts.stale,
            Event::TimedOut => &counts.timed_out,
            Event::Failed => &counts.failed,
            Event::Computed => &counts.computed,
            Event::Stored => &counts.stored,
            Event::Refused => &counts.refused,
            Event::Unreadable(_) => &counts.unreadable,
            Event::WithoutStore(_)
            | Event::WithoutLock(_)
            | Event::Untold(_)
            | Event::WouldBlock => &counts.degraded,
            Event::Recursive => &counts.recursive,
            Event::NoLifetime
            | Event::TooLarge(_)
            | Event::Unshareable(_)
            | Event::Panicked(_)
            | Event::Long(_)
            | Event::Unasked(_)
            | Event::Convoy(_) => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn log(&self, who: Subject<'_>, event: Event<'_>) {
        match event {
            Event::Hit
            | Event::Waited
            | Event::Shared
            | Event::Stale
            | Event::TimedOut
            | Event::Failed
            | Event::Computed
            | Event::Stored => {}
            Event::Panicked(message) => say!(error, self.panicked, who, { message, }
                "a detached computation panicked, and its caller is gone"),
            Event::WithoutLock(error) => say!(warn, self.lock, who, { error = %error.chain(), }
                "computing without the lock: other processes may compute the same"),
            Event::WithoutStore(error) => say!(warn, self.store, who, { error = %error.chain(), }
                "the store is not used: values are computed anew"),
            Event::Untold(error) => say!(warn, self.untold, who, { error = %error.chain(), }
                "other processes were not told of a change: what they keep by `local` they may use for as long as that"),
            Event::Refused => say!(info, self.refused, who, {}
                "a value was not stored: something newer stands there"),
            Event::Recursive => say!(warn, self.recursion, who, {}
                "asked for inside its own computation: computed inline; give the inner call a key of its own"),
            Event::WouldBlock => say!(warn, self.would_block, who, {}
                "computed inline: this thread is needed by a computation that it would have waited for; call \
                 blocking functions by spawn_blocking, or make this one async"),
            Event::Long(so_far) => say!(warn, self.long, who, { ?so_far, }
                "a computation goes on for long, and keeps its key: a future that is kept without being polled does \
                 so for ever"),
            Event::Convoy(failures) => say!(warn, self.convoy, who, { failures, }
                "waited for computations that left nothing to share, one after the other: share errors (derive \
                 `Clone`, or write `share_err`), store them (`cache_err`), store `None` (`cache_none`), or let \
                 computations outlive their callers (`detach`)"),
            Event::Unasked(values) => say!(warn, self.unasked, who, { values, }
                "a function of many keys returned values of ids that it was not asked for: they are dropped"),
            Event::NoLifetime => say!(warn, self.no_lifetime, who, {}
                "a value was not stored: its time to live is zero; write how long it may be used, for example \
                 Duration::from_secs(60), or use `cache_if` to leave values out"),
            Event::TooLarge(allowed) => say_once!(self.too_large, who, { allowed, }
                "a value was not stored: it is too large; raise it with Builder::max_value_bytes"),
            Event::Unreadable(reason) => say_once!(self.unreadable, who, { reason, }
                "a stored entry cannot be read, and counts as missing"),
            Event::Unshareable(reason) => say_once!(self.unshareable, who, { reason, }
                "a value cannot be stored: every caller computes it"),
        }
    }
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
