//! What the runtime counts, says and shows.

pub(crate) mod counts;
pub(crate) mod functions;
mod limits;
pub(crate) mod meters;
pub(crate) mod outcome;
pub(crate) mod track;
pub(crate) mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use self::counts::Count;
pub use self::counts::Stats;
use self::functions::{Function, Functions};
use self::limits::OncePerKey;
pub(crate) use self::limits::RateLimited;
use self::track::Track;
use self::trouble::{Part, Trouble, Troubles};
use crate::{Error, Key};

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
    /// A step went on without a part of the servers.
    Without(Part<'a>, &'a Error),
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
    /// It computes in place of another, in this process or elsewhere, that is gone or has left nothing.
    TookOver,
}

impl Event<'_> {
    fn count(self) -> Option<Count> {
        Some(match self {
            Self::Hit => Count::Hits,
            Self::Waited => Count::Waited,
            Self::Shared => Count::Shared,
            Self::Stale => Count::Stale,
            Self::TimedOut => Count::TimedOut,
            Self::Failed => Count::Failed,
            Self::Computed => Count::Computed,
            Self::Stored => Count::Stored,
            Self::Refused => Count::Refused,
            Self::Unreadable(_) => Count::Unreadable,
            Self::Without(..) | Self::Untold(_) | Self::WouldBlock => Count::Degraded,
            Self::Recursive => Count::Recursive,
            Self::NoLifetime
            | Self::TooLarge(_)
            | Self::Unshareable(_)
            | Self::Panicked(_)
            | Self::Long(_)
            | Self::Unasked(_)
            | Self::Convoy(_)
            | Self::TookOver => return None,
        })
    }
}

/// What becomes of events: counts, metrics and log lines.
#[derive(Debug, Default)]
pub(crate) struct Events {
    functions: Functions,
    looks: Trouble,
    puts: Trouble,
    lock: Troubles,
    untold: Trouble,
    refused: RateLimited,
    recursion: RateLimited,
    would_block: RateLimited,
    long: RateLimited,
    convoy: RateLimited,
    took_over: RateLimited,
    panicked: RateLimited,
    unasked: RateLimited,
    no_lifetime: RateLimited,
    too_large: OncePerKey,
    unreadable: OncePerKey,
    unshareable: OncePerKey,
}

macro_rules! say {
    ($level:ident, $limit:expr, $name:expr, $key:expr, { $($fields:tt)* } $message:literal) => {
        $limit.say(|kept_back| {
            tracing::$level!(name = $name, key = $key.hex(), kept_back, $($fields)* $message);
        })
    };
}

macro_rules! say_once {
    ($limit:expr, $name:expr, $key:expr, { $($fields:tt)* } $message:literal) => {
        if $limit.first($key.digest()) {
            tracing::warn!(name = $name, key = $key.hex(), $($fields)* $message);
        }
    };
}

macro_rules! begins {
    ($trouble:expr, $server:expr, $is_another:expr, $name:expr, $key:expr, $error:expr, $message:literal) => {
        $trouble.touches($is_another, |kept_back| {
            tracing::warn!(
                name = $name, key = $key.hex(), kept_back, server = $server, error = %$error.chain(), $message
            );
        })
    };
}

macro_rules! ends {
    ($trouble:expr, $server:expr, $message:literal) => {
        $trouble.is_over(|was| {
            tracing::info!(lasted = ?was.lasted, calls = was.calls, server = $server, $message)
        })
    };
}

/// There is but one.
const ONE: Option<&str> = None;

impl Events {
    /// The function with this label.
    pub(crate) fn function(&self, name: &'static str) -> Arc<Function> {
        self.functions.of(name)
    }

    /// What is counted of each function.
    pub(crate) fn by_function(&self) -> BTreeMap<&'static str, Stats> {
        self.functions.stats()
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut all = Stats::default();
        self.by_function().values().for_each(|one| all.add(one));
        all
    }

    /// Something happened to a call.
    pub(crate) fn record(&self, track: &Track, key: &Key, event: Event<'_>) {
        let is_another = match event {
            Event::Without(part, _) => track.goes_without(part),
            Event::WouldBlock => track.goes_without(Part::Lock(None)),
            _ => true,
        };
        self.count(&track.function, event);
        let _inside = track.enter();
        self.log(track.function.name, key, event, is_another);
    }

    /// The same of what is no call.
    pub(crate) fn record_of(&self, name: &'static str, key: &Key, event: Event<'_>) {
        self.count(&self.function(name), event);
        self.log(name, key, event, true);
    }

    fn count(&self, function: &Function, event: Event<'_>) {
        if let Some(count) = event.count() {
            function.count(count);
        }
        match event {
            Event::Without(part, _) => function.failed(part),
            Event::Refused => function.refused(),
            _ => {}
        }
    }

    /// A part of the servers did what was asked of it.
    pub(crate) fn works(&self, part: Part<'_>) {
        match part {
            Part::Look => ends!(self.looks, ONE, "the store is used again"),
            Part::Put => ends!(self.puts, ONE, "values are stored again"),
            Part::Lock(server) => ends!(self.lock.of(server), server, "the lock is used again"),
        }
    }

    /// Other processes were told of a change.
    pub(crate) fn told(&self) {
        ends!(
            self.untold,
            ONE,
            "other processes are told of changes again"
        );
    }

    fn log(&self, name: &'static str, key: &Key, event: Event<'_>, is_another: bool) {
        match event {
            // It is the same trouble.
            Event::Without(Part::Put, _) if self.looks.is_on() => {}
            Event::Hit
            | Event::Waited
            | Event::Shared
            | Event::Stale
            | Event::TimedOut
            | Event::Failed
            | Event::Computed
            | Event::Stored => {}
            Event::Panicked(reason) => say!(error, self.panicked, name, key, { reason, }
                "a detached computation panicked, and its caller is gone"),
            Event::Without(Part::Lock(server), error) => begins!(
                self.lock.of(server),
                server,
                is_another,
                name,
                key,
                error,
                "computing without the lock: other processes may compute the same"
            ),
            Event::Without(Part::Look, error) => begins!(
                self.looks,
                ONE,
                is_another,
                name,
                key,
                error,
                "the store is not used: values are computed anew"
            ),
            Event::Without(Part::Put, error) => begins!(
                self.puts,
                ONE,
                is_another,
                name,
                key,
                error,
                "values are not stored: others compute them anew"
            ),
            Event::Untold(error) => begins!(
                self.untold,
                ONE,
                is_another,
                name,
                key,
                error,
                "other processes were not told of a change: what they keep by `local` they may use for as long as that"
            ),
            Event::TookOver => say!(debug, self.took_over, name, key, {}
                "computes in place of another that is gone, or has left nothing to share"),
            Event::Refused => say!(info, self.refused, name, key, {}
                "a value was not stored: something newer stands there"),
            Event::Recursive => say!(warn, self.recursion, name, key, {}
                "asked for inside its own computation: computed inline; give the inner call a key of its own"),
            Event::WouldBlock => say!(warn, self.would_block, name, key, {}
                "computed inline: this thread is needed by a computation that it would have waited for; call \
                 blocking functions by spawn_blocking, or make this one async"),
            Event::Long(so_far) => say!(warn, self.long, name, key, { ?so_far, }
                "a computation goes on for long, and keeps its key: a future that is kept without being polled does \
                 so for ever"),
            Event::Convoy(failures) => say!(warn, self.convoy, name, key, { failures, }
                "waited for computations that left nothing to share, one after the other: share errors (derive \
                 `Clone`, or write `share_err`), store them (`cache_err`), store `None` (`cache_none`), or let \
                 computations outlive their callers (`detach`)"),
            Event::Unasked(values) => say!(warn, self.unasked, name, key, { values, }
                "a function of many keys returned values of ids that it was not asked for: they are dropped"),
            Event::NoLifetime => say!(warn, self.no_lifetime, name, key, {}
                "a value was not stored: its time to live is zero; write how long it may be used, for example \
                 Duration::from_secs(60), or use `cache_if` to leave values out"),
            Event::TooLarge(allowed) => say_once!(self.too_large, name, key, { allowed, }
                "a value was not stored: it is too large; raise it with Builder::max_value_bytes"),
            Event::Unreadable(reason) => say_once!(self.unreadable, name, key, { reason, }
                "a stored entry cannot be read, and counts as missing"),
            Event::Unshareable(reason) => say_once!(self.unshareable, name, key, { reason, }
                "a value cannot be stored: every caller computes it"),
        }
    }
}
