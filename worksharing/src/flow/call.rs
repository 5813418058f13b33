//! One call: what the flow needs to know of it, but the types; and its looks into the store.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::ancestry;
use super::timing::{self, Verdict};
use crate::events::{Event, Subject};
use crate::payload::entry::{Container, Draft, EntryId, Frame, Header, Kind, Written};
use crate::runtime::Runtime;
use crate::store::{Look, Seen, Stored};
use crate::{Error, Key};

/// Everything the flow needs to know of one call, but the types.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) key: Key,
    pub(crate) name: &'static str,
    pub(crate) options: Options,
    /// Of the type of the value, once it is known.
    pub(crate) fingerprint: u64,
}

/// What a caller may ask for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) ttl: Option<Duration>,
    pub(crate) version: u32,
    pub(crate) force_refresh: bool,
    pub(crate) cache_none: bool,
}

/// The id of what was seen.
pub(super) fn id_of(seen: Seen) -> EntryId {
    EntryId::seen(seen.as_bytes())
}

impl Sight {
    /// The entry, if it is fresh.
    pub(super) fn into_fresh(self) -> Option<Bytes> {
        self.fresh?;
        Some(self.stored?.bytes)
    }
}

/// What a look into the store found.
pub(crate) struct Sight {
    /// What stands there, for a fence; `None` where the look failed.
    pub(crate) seen: Option<Seen>,
    pub(crate) stored: Option<Stored>,
    /// The fresh entry of this call's type in it, by its id and what it is based on.
    pub(crate) fresh: Option<(EntryId, EntryId)>,
}

impl Call {
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        key: Key,
        name: &'static str,
        options: Options,
    ) -> Self {
        Self {
            runtime,
            key,
            name,
            options,
            fingerprint: 0,
        }
    }

    pub(super) fn id(&self) -> ancestry::Id {
        (self.runtime.lock_scope, *self.key.digest())
    }

    pub(crate) fn record(&self, event: Event<'_>) {
        let subject = Subject {
            name: self.name,
            key: &self.key,
        };
        self.runtime.events.record(subject, event);
    }

    /// How long a value is fresh, if its function does not say otherwise.
    pub(super) fn ttl(&self) -> Duration {
        self.options
            .ttl
            .unwrap_or(self.runtime.timeouts.default_ttl)
    }

    /// Looks under this key. Trouble with the store finds nothing. An entry of the id `distrust` counts as missing.
    pub(super) async fn look(&self, distrust: Option<EntryId>) -> Sight {
        self.look_as(distrust, timing::asks_for_age(self.ttl()))
            .await
    }

    /// [`look`](Self::look), with the age of what is found.
    pub(super) async fn look_with_age(&self, distrust: Option<EntryId>) -> Sight {
        self.look_as(distrust, true).await
    }

    async fn look_as(&self, distrust: Option<EntryId>, with_age: bool) -> Sight {
        let mut look = Look::up_to(self.runtime.max_value_bytes);
        if with_age {
            look = look.with_time_left();
        }
        let mut stored = match self.get(look).await {
            Ok(stored) => stored,
            Err(error) => return self.without_store(&error),
        };
        let mut verdict = self.judge(stored.as_ref());
        if matches!(verdict, Some((Verdict::Unknown, ..))) {
            stored = match self.get(look.with_time_left()).await {
                Ok(stored) => stored,
                Err(error) => return self.without_store(&error),
            };
            verdict = self.judge(stored.as_ref());
        }
        // What was asked for its age and has none is kept for ever, and no entry of ours.
        let has_age = |stored: &Stored| !with_age || stored.time_left.is_some();
        let fresh = verdict.and_then(|(verdict, id, based_on)| {
            let fresh = verdict == Verdict::Fresh && stored.as_ref().is_some_and(has_age);
            (fresh && Some(id) != distrust).then_some((id, based_on))
        });
        Sight {
            seen: Some(Seen::of(stored.as_ref().map(|stored| &stored.bytes[..]))),
            stored,
            fresh,
        }
    }

    async fn get(&self, look: Look) -> Result<Option<Stored>, Error> {
        self.runtime.store.get_one(&self.key, look).await
    }

    fn without_store(&self, error: &Error) -> Sight {
        self.record(Event::WithoutStore(error));
        Sight {
            seen: None,
            stored: None,
            fresh: None,
        }
    }

    /// What that is worth to this call, and its id and what it is based on.
    fn judge(&self, stored: Option<&Stored>) -> Option<(Verdict, EntryId, EntryId)> {
        let stored = stored?;
        if !stored.whole {
            self.record(Event::Unreadable(
                "it is larger than Builder::max_value_bytes allows",
            ));
            return None;
        }
        let (container, frame) = self.frame(&stored.bytes)?;
        let Header {
            id,
            based_on,
            fresh_for,
            ..
        } = frame.header;
        let age = stored.time_left.map(|left| container.age(&frame, left));
        let verdict = timing::judge(fresh_for, container.age(&frame, Duration::ZERO), age);
        Some((verdict, id, based_on))
    }

    /// The value of this call's key and type in an entry, if it has one.
    pub(super) fn frame<'a>(&self, bytes: &'a [u8]) -> Option<(Container<'a>, Frame<'a>)> {
        let container = match Container::parse(bytes) {
            Ok(container) => container,
            Err(reason) => return self.unreadable(&reason.to_string()),
        };
        if container.newest.header.kind == Kind::Tombstone {
            return None;
        }
        if container.characteristic != self.key.characteristic() {
            return self
                .unreadable("it belongs to another characteristic string with the same digest");
        }
        let frame = container.frame_of(self.fingerprint).copied();
        match frame.filter(|frame| frame.header.kind == Kind::Value) {
            Some(frame) => Some((container, frame)),
            None => self.unreadable("it holds a value of another type, structure or version"),
        }
    }

    pub(super) fn unreadable<T>(&self, reason: &str) -> Option<T> {
        self.record(Event::Unreadable(reason));
        None
    }

    /// Lays a tombstone, and keeps flights under way from serving callers that come later.
    pub(crate) async fn invalidate(&self) -> Result<(), Error> {
        const ATTEMPTS: usize = 3;
        let mut laid = self.lay_tombstone().await;
        for _ in 1..ATTEMPTS {
            if laid.is_ok() {
                break;
            }
            // Each with an id of its own: one that takes effect late must not look like one that was seen.
            laid = self.lay_tombstone().await;
        }
        self.runtime.flights.supersede(self.key.digest());
        laid
    }

    async fn lay_tombstone(&self) -> Result<(), Error> {
        let header = Header::new(Kind::Tombstone, self.runtime.timeouts.tombstone_ttl);
        let tombstone = Draft::new(header, self.key.characteristic(), None, usize::MAX);
        let Written { bytes, lives_for } = tombstone.without_payload();
        self.runtime
            .store
            .replace(&self.key, bytes, lives_for)
            .await
    }
}
