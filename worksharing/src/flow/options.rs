//! What a function, or a [`Work`](crate::Work), may ask of its calls.

use std::time::Duration;

use super::many::InBatch;
use super::timing::clamp;
use crate::Key;
use crate::near::Salt;
use crate::payload::entry::Kind;

/// What a caller may ask for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) ttl: Option<Duration>,
    pub(crate) version: u32,
    pub(crate) force_refresh: bool,
    pub(crate) cache_none: bool,
    /// The computation belongs to the runtime, and not to the caller.
    pub(crate) detach: bool,
    /// Boxed, so that calls without them do not carry them.
    rare: Option<Box<Rare>>,
}

/// Options that few functions have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rare {
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) stale_if_error: Duration,
    /// XFetch's β.
    pub(crate) early_refresh: Option<f64>,
    pub(crate) jitter: Option<Jitter>,
    /// How long a caller waits for a computation that is not its own.
    pub(crate) wait: Option<Duration>,
    /// Who has waited for that long computes without the lock.
    pub(crate) overflow: bool,
    /// The keys of the markers of its tags, in the order of their digests, each once.
    pub(crate) tags: Vec<Key>,
    /// It is one of several calls that are under way together.
    pub(crate) batch: Option<InBatch>,
    /// How long a value is also kept in the process; zero: it is not.
    pub(crate) local: Duration,
    /// What tells it from values of the same key with other tags there.
    pub(crate) salt: Salt,
}

/// By how much a time to live is shortened at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Jitter {
    /// By this part of it: 0.1 is a tenth.
    Part(f64),
    Time(Duration),
}

static NONE: Rare = Rare {
    stale_while_revalidate: Duration::ZERO,
    stale_if_error: Duration::ZERO,
    early_refresh: None,
    jitter: None,
    wait: None,
    overflow: false,
    tags: Vec::new(),
    batch: None,
    local: Duration::ZERO,
    salt: Salt::NONE,
};

impl Options {
    pub(crate) fn rare(&self) -> &Rare {
        self.rare.as_deref().unwrap_or(&NONE)
    }

    /// What of these is about something of this kind: an error has no stale phases, and is not refreshed early.
    pub(crate) fn of(&self, kind: Kind) -> &Rare {
        match kind {
            Kind::Error => &NONE,
            _ => self.rare(),
        }
    }

    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

impl Rare {
    /// Adds the key of a tag's marker.
    pub(crate) fn add_tag(&mut self, tag: Key) {
        let tags = &mut self.tags;
        let place = tags.binary_search_by(|other| other.digest().cmp(tag.digest()));
        if let Err(place) = place {
            tags.insert(place, tag);
        }
    }

    /// Whether a value may be served that is not simply fresh: then its age is needed.
    pub(crate) fn is_about_age(&self) -> bool {
        self.serves_stale() || self.early_refresh.is_some()
    }

    /// Whether a value may be served past its time to live.
    pub(crate) fn serves_stale(&self) -> bool {
        !self.stale_for().is_zero()
    }

    /// For how long after its time to live a value may be of use.
    pub(crate) fn stale_for(&self) -> Duration {
        clamp(self.stale_while_revalidate.max(self.stale_if_error))
    }
}
