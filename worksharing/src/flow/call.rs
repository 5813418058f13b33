//! One call: what the flow needs to know of it, but the types; and its looks into the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::ancestry;
use super::options::Options;
use super::tags::Markers;
use super::timing::{self, Verdict};
use crate::changes::{Digest, Stamp};
use crate::events::Event;
use crate::events::track::Track;
use crate::events::trouble::Part;
use crate::payload::entry::{Container, EntryId, Frame, Kind, Types};
use crate::runtime::Runtime;
use crate::store::{Look, Seen, Stored};
use crate::{Error, Key};

/// Everything the flow needs to know of one call, but the types.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) key: Key,
    pub(crate) track: Track,
    pub(crate) options: Options,
    /// What it takes of an entry, once its types are known.
    pub(crate) types: Types,
    /// Until when it waits for others.
    pub(crate) deadline: Option<Instant>,
}

/// The id of what was seen.
pub(super) fn id_of(seen: Seen) -> EntryId {
    EntryId::seen(seen.as_bytes())
}

/// What a look into the store found.
#[derive(Default)]
pub(crate) struct Sight {
    /// What stands there, for a fence; `None` where the look failed.
    pub(crate) seen: Option<Seen>,
    pub(crate) stored: Option<Stored>,
    /// The entry of this call's type in it, if it is valid under its tags.
    pub(crate) entry: Option<Sighted>,
    pub(crate) markers: Markers,
    /// From before it, of a call that keeps values in this process.
    pub(super) stamp: Option<Box<Stamp>>,
}

/// An entry, and what may be done with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighted {
    pub(crate) verdict: Verdict,
    pub(crate) id: EntryId,
    /// What its leader saw; `None` if it was carried along behind another version's.
    pub(crate) based_on: Option<EntryId>,
    pub(crate) kind: Kind,
    /// Until when it is of use, if its age is known.
    until: Option<Instant>,
}

impl Sight {
    /// The entry, if it is served.
    pub(super) fn into_served(self) -> Option<Bytes> {
        self.entry.filter(|entry| entry.verdict.is_served())?;
        Some(self.stored?.bytes)
    }

    /// The entry, if it may still be served in place of what takes too long.
    pub(super) fn into_servable(self) -> Option<Bytes> {
        let until = self.entry?.until?;
        let stored = self.stored.filter(|_| Instant::now() < until)?;
        Some(stored.bytes)
    }

    /// Whether what stands there is an invalidation that has to settle: see `Builder::settle`.
    pub(super) fn is_unsettled(&self, call: &Call) -> bool {
        let settle = call.runtime.timeouts.settle;
        let stored = self.stored.as_ref().filter(|_| !settle.is_zero());
        let Some((stored, left)) = stored.and_then(|stored| Some((stored, stored.time_left?)))
        else {
            return false;
        };
        let tombstone = Container::parse(&stored.bytes).ok();
        let tombstone = tombstone.filter(|it| it.newest.header.kind == Kind::Tombstone);
        tombstone.is_some_and(|it| it.age(&it.newest, left) < settle)
    }
}

impl Call {
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        key: Key,
        name: &'static str,
        options: Options,
    ) -> Self {
        let track = Track::new(runtime.events.function(name));
        Self {
            runtime,
            key,
            track,
            options,
            types: Types::default(),
            deadline: None,
        }
    }

    pub(super) fn id(&self) -> ancestry::Id {
        (self.runtime.lock_scope, *self.key.digest())
    }

    pub(crate) fn record(&self, event: Event<'_>) {
        self.runtime.events.record(&self.track, &self.key, event);
    }

    /// How long a value is fresh, if its function does not say otherwise.
    pub(super) fn ttl(&self) -> Duration {
        self.options
            .ttl
            .unwrap_or(self.runtime.timeouts.default_ttl)
    }

    /// Looks under this key. Trouble with the store finds nothing. An entry of the id `distrust` counts as missing.
    pub(super) async fn look(&self, distrust: Option<EntryId>) -> Sight {
        self.look_as(
            distrust,
            timing::asks_for_age(self.ttl(), self.options.rare()),
        )
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
        loop {
            let stamp = self.stamp();
            let sight = match self.get(look).await {
                Ok((stored, markers)) => {
                    self.runtime.events.works(Part::Look);
                    Sight {
                        stamp,
                        ..self.sight(stored, markers, look, distrust)
                    }
                }
                Err(error) => return self.without_store(&error),
            };
            let verdict = sight.entry.map(|entry| entry.verdict);
            if look.time_left || verdict != Some(Verdict::Unknown) {
                return sight;
            }
            look = look.with_time_left();
        }
    }

    fn sight(
        &self,
        stored: Option<Stored>,
        markers: Markers,
        look: Look,
        distrust: Option<EntryId>,
    ) -> Sight {
        // What was asked for its age and has none is kept for ever, and no entry of ours.
        let has_age = |stored: &Stored| !look.time_left || stored.time_left.is_some();
        let is_ours = stored.as_ref().is_some_and(has_age);
        let entry = self.judge(stored.as_ref(), &markers);
        Sight {
            seen: Some(Seen::of(stored.as_ref().map(|stored| &stored.bytes[..]))),
            entry: entry.filter(|entry| is_ours && Some(entry.id) != distrust),
            stored,
            markers,
            stamp: None,
        }
    }

    /// What stands under the key, and under its tags.
    async fn get(&self, look: Look) -> Result<(Option<Stored>, Markers), Error> {
        if !self.tags().is_empty() {
            // Boxed, so that calls without tags do not carry it.
            return Box::pin(self.get_with_markers(look)).await;
        }
        let stored = self.runtime.store.get_one(&self.key, look).await?;
        Ok((stored, Markers::default()))
    }

    async fn get_with_markers(&self, look: Look) -> Result<(Option<Stored>, Markers), Error> {
        let tags = self.tags();
        let mut keys = Vec::with_capacity(1 + tags.len());
        keys.push(self.key.clone());
        keys.extend_from_slice(tags);
        let mut found = self.runtime.store.get(&keys, look).await?;
        let markers = found.split_off(found.len().min(1));
        Ok((found.pop().flatten(), Markers::of(tags, &markers)))
    }

    fn without_store(&self, error: &Error) -> Sight {
        self.record(Event::Without(Part::Look, error));
        Sight {
            seen: None,
            markers: Markers::of(self.tags(), &[]),
            ..Sight::default()
        }
    }

    /// What that is worth to this call: nothing, if it was begun under other markers.
    pub(super) fn judge(&self, stored: Option<&Stored>, markers: &Markers) -> Option<Sighted> {
        let stored = stored?;
        if !stored.whole {
            self.record(Event::Unreadable(
                "it is larger than Builder::max_value_bytes allows",
            ));
            return None;
        }
        let (container, frame) = self.frame(&stored.bytes)?;
        let header = &frame.header;
        if Some(header.tags) != markers.hash() {
            return None;
        }
        let age = stored.time_left.map(|left| container.age(&frame, left));
        let kept = container.age(&frame, Duration::ZERO);
        let options = self.options.of(header.kind);
        let until = age.filter(|_| options.serves_stale());
        Some(Sighted {
            verdict: timing::judge(header, kept, age, options, || header.id.draw()),
            id: header.id,
            based_on: (container.newest.header.id == header.id).then_some(header.based_on),
            kind: header.kind,
            until: until.map(|age| Instant::now() + timing::servable_for(header, age, options)),
        })
    }

    /// The value, or the error, of this call's key and types in an entry, if it has one.
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
        match container.frame_of(&self.types) {
            Some(&frame) => Some((container, frame)),
            // Nobody who does not read errors need know of them.
            None if container.newest.header.kind == Kind::Error => None,
            None => self.unreadable("it holds a value of another type, structure or version"),
        }
    }

    pub(super) fn unreadable<T>(&self, reason: &str) -> Option<T> {
        self.record(Event::Unreadable(reason));
        None
    }

    /// Removes what is stored, and keeps computations under way from storing theirs.
    pub(crate) async fn invalidate(&self) -> Result<(), Error> {
        self.runtime.invalidate(&self.key).await
    }

    /// Of all whose change makes a value invalid: the key, and the tags.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        let keys = std::iter::once(&self.key).chain(self.tags());
        keys.map(|key| *key.digest()).collect()
    }

    /// Tells everybody who may have kept what stood under the key, and completes when this process knows.
    pub(super) async fn tell_of_change(&self) {
        let name = self.track.function.name;
        self.runtime.tell_of_change(name, &self.key).await;
    }
}
