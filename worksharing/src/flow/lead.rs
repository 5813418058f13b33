//! The flow from the computation on: put, land, release.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join;

use super::call::{Call, Sight, id_of};
use super::fence::FenceWatch;
use super::flight::Leader;
use super::keeping::Filling;
use super::landing::{Landing, Origin, Outcomes};
use super::tags::Markers;
use crate::changes::Stamp;
use crate::events::Event;
use crate::events::trouble::Part;
use crate::lock::LockGuard;
use crate::payload::entry::{Carried, Container, EntryId, Kind, Written};
use crate::policy::SharedError;
use crate::runtime::Runtime;
use crate::store::{Fence, Seen, Stored};

/// The right to compute. Dropped without landing it has failed, be it by a panic or a dropped future: its lock is
/// released, and a follower takes over.
pub(crate) struct Lead {
    // Dropped in this order: the successor finds the key free.
    held: Option<LockGuard>,
    flight: Option<(Leader, u64)>,
    fence: Option<FenceWatch>,
    /// What stands under the key.
    found: Option<Found>,
    /// Of its tags, as it saw them before it computes.
    markers: Markers,
    pause: Option<Pause>,
    /// From before its look.
    stamp: Option<Box<Stamp>>,
    begun: Instant,
}

/// What a leader found.
struct Found {
    stored: Stored,
    /// It is of the call's type.
    is_ours: bool,
    /// It is an invalidation that is so young that the body may read what was before.
    is_early: bool,
}

/// What came of a computation, as bytes.
pub(crate) enum Product {
    /// An entry, and whether it is to be stored: or else it is for those who wait in this process only.
    Entry(Written, bool),
    /// An error that is made anew for each who waits; and an entry, if one is to be stored.
    Error(Option<Written>),
    /// A value that was there before, in place of an error.
    Older(Older),
    /// Nothing that anybody else could use.
    Nothing,
}

/// A value that was computed before, and is of use still.
pub(crate) struct Older {
    pub(super) bytes: Bytes,
    id: EntryId,
}

impl Lead {
    /// Of a leader, with what it saw in its look of this number under the lock or, where there is none, without.
    pub(super) fn new(
        call: &Call,
        leader: Leader,
        look: u64,
        held: Option<LockGuard>,
        sight: Sight,
    ) -> Self {
        Self {
            flight: Some((leader, look)),
            held,
            pause: Pause::of(call),
            ..Self::unlocked(call, sight)
        }
    }

    /// Of a caller that neither leads nor may wait.
    pub(super) fn unlocked(call: &Call, sight: Sight) -> Self {
        let (is_ours, is_early) = (sight.entry.is_some(), sight.is_unsettled(call));
        let found = sight.stored.map(|stored| Found {
            stored,
            is_ours,
            is_early,
        });
        Self {
            stamp: sight.stamp,
            fence: Some(FenceWatch::begin(call, sight.seen)),
            found,
            markers: sight.markers,
            ..Self::inline()
        }
    }

    /// Of a caller inside its own computation: nothing comes of it but its value.
    pub(super) fn inline() -> Self {
        Self {
            held: None,
            flight: None,
            fence: None,
            found: None,
            markers: Markers::default(),
            pause: None,
            stamp: None,
            begun: Instant::now(),
        }
    }

    pub(super) fn holds_lock(&self) -> bool {
        self.held.is_some()
    }

    /// How long it has been computing.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    fn is_early(&self) -> bool {
        self.found.as_ref().is_some_and(|found| found.is_early)
    }

    /// Whether an entry could be stored.
    pub(super) fn stores(&self) -> bool {
        self.fence.is_some() && self.markers.hash().is_some() && !self.is_early()
    }

    /// The hash of the markers under which what it computes is valid.
    pub(super) fn tags(&self) -> u64 {
        self.markers.hash().unwrap_or_default()
    }

    /// Whether somebody in this process waits for what comes of it.
    pub(super) fn is_followed(&self) -> bool {
        let flight = self.flight.as_ref();
        flight.is_some_and(|(leader, _)| leader.is_followed())
    }

    /// The id of what it saw.
    pub(super) fn based_on(&self) -> EntryId {
        let seen = self.fence.as_ref().and_then(FenceWatch::seen);
        seen.map_or(EntryId::NONE, id_of)
    }

    /// The entry of another type that stands under the key, and is to be carried along.
    pub(super) fn carried(&self, call: &Call) -> Option<Carried<'_>> {
        if call.options.force_refresh {
            return None;
        }
        let stored = &self.found.as_ref()?.stored;
        if !stored.whole {
            return None;
        }
        let time_left = stored.time_left?.saturating_sub(self.elapsed());
        let container = Container::parse(&stored.bytes).ok()?;
        container.live_besides(&call.types, time_left)
    }

    /// What may be returned in place of an error: what stands under the key, unless it has been invalidated meanwhile. A
    /// refresh that was asked for wants nothing older.
    pub(super) fn older(&self, call: &Call) -> Option<Older> {
        if call.options.force_refresh || !call.options.rare().is_about_age() {
            return None;
        }
        let bytes = self.standing(call)?.bytes;
        let seen = self.fence.as_ref()?.holds()?;
        Some(Older {
            bytes,
            id: id_of(seen),
        })
    }

    /// The value that stands under the key, by now, if it is of use to anybody. No error is put over it.
    pub(super) fn standing(&self, call: &Call) -> Option<Stored> {
        let found = self.found.as_ref().filter(|found| found.is_ours)?;
        let mut now = found.stored.clone();
        if let Some(left) = &mut now.time_left {
            *left = left.checked_sub(self.elapsed())?;
        }
        let entry = call.judge(Some(&now), &self.markers)?;
        (entry.kind == Kind::Value && entry.verdict.is_servable()).then_some(now)
    }

    /// Its computation ended in an error: whatever is stored of that, this process is to try again only later.
    pub(super) fn failed(&mut self) {
        self.pause = None;
    }

    /// Puts, and releases. However this ends, by a dropped future too, what was computed is landed.
    pub(super) async fn finish(mut self, call: &Call, product: Product) -> Landed {
        let (outcomes, put, makes_errors) = match product {
            Product::Nothing => return Landed::nothing(),
            Product::Older(older) => return self.land_older(older),
            Product::Error(put) => (Outcomes::of(put.as_ref()), put, true),
            Product::Entry(entry, stored) => {
                (Outcomes::of(Some(&entry)), stored.then_some(entry), false)
            }
        };
        let origin = Origin::Computed { seen: None };
        let mut landed = self.landed(outcomes, origin, makes_errors);
        let Some(fence) = self.fence.take() else {
            return landed;
        };
        // Those who joined late are served only if nothing has changed that they could have seen.
        landed.is_computed_from(fence.holds());
        let Some(entry) = put else {
            drop(self.held.take());
            return landed;
        };
        let kept = |stamp| {
            (
                stamp,
                entry.bytes.clone(),
                call.runtime.changes.epochs().now(),
            )
        };
        let kept = self.stamp.take().map(kept);
        let keep = call.keep_markers(&self.markers, entry.lives_for, self.elapsed());
        let put = put_fenced(call, entry, fence, self.held.take());
        let (put, ()) = join(put, keep).await;
        if let Some(pause) = self.pause.take_if(|_| put != Put::Failed) {
            pause.over();
        }
        if put == Put::Stored {
            if call.options.force_refresh {
                call.tell_of_change().await;
            }
            let kept = kept.filter(|_| self.markers.hash().is_some());
            landed.filling =
                kept.and_then(|(stamp, bytes, asked)| call.filling_of_put(*stamp, asked, &bytes));
        }
        landed
    }

    fn land_older(mut self, older: Older) -> Landed {
        drop(self.held.take());
        let origin = Origin::Older { id: older.id };
        self.landed(Outcomes::Entry(older.bytes), origin, false)
    }

    fn landed(&mut self, outcomes: Outcomes, origin: Origin, makes_errors: bool) -> Landed {
        let lead = self.flight.take().map(|(leader, look)| {
            let landing = Landing {
                outcomes,
                look,
                tags: self.markers.hash(),
                origin,
            };
            (leader, landing)
        });
        Landed {
            lead,
            makes_errors,
            filling: None,
        }
    }
}

/// What became of a put.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    Stored,
    /// Something newer stands there.
    Refused,
    Failed,
}

async fn put_fenced(
    call: &Call,
    entry: Written,
    fence: FenceWatch,
    held: Option<LockGuard>,
) -> Put {
    let Some(seen) = fence.confirmed(call).await else {
        call.record(Event::Refused);
        return Put::Refused;
    };
    let runtime = &call.runtime;
    let fence = Fence::new(seen, held);
    let Written { bytes, lives_for } = entry;
    match runtime.store.put(&call.key, bytes, lives_for, fence).await {
        Ok(true) => {
            runtime.events.works(Part::Put);
            runtime.unstorable.remove(call.key.digest());
            call.record(Event::Stored);
            Put::Stored
        }
        Ok(false) => {
            runtime.events.works(Part::Put);
            call.record(Event::Refused);
            Put::Refused
        }
        Err(error) => {
            runtime.unstorable.insert(call.key.digest());
            call.record(Event::Without(Part::Put, &error));
            Put::Failed
        }
    }
}

/// Of a call that may be served what stands there. Dropped, it keeps this process from trying again at once: what
/// stands there is served meanwhile.
struct Pause {
    runtime: Option<Arc<Runtime>>,
    digest: [u8; 16],
}

impl Pause {
    fn of(call: &Call) -> Option<Self> {
        call.options.rare().is_about_age().then(|| Self {
            runtime: Some(Arc::clone(&call.runtime)),
            digest: *call.key.digest(),
        })
    }

    fn over(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.pauses.over(&self.digest);
        }
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        if let Some(runtime) = &self.runtime {
            let retry_after = runtime.timeouts.retry_after;
            runtime.pauses.failed(&self.digest, retry_after);
        }
    }
}

/// Lands when it is dropped.
pub(super) struct Landed {
    lead: Option<(Leader, Landing)>,
    makes_errors: bool,
    /// Of a value that was stored.
    pub(super) filling: Filling,
}

impl Landed {
    fn nothing() -> Self {
        Self {
            lead: None,
            makes_errors: false,
            filling: None,
        }
    }

    fn is_computed_from(&mut self, seen: Option<Seen>) {
        if let Some((_, landing)) = &mut self.lead {
            let seen = seen.map(id_of);
            landing.origin = Origin::Computed { seen };
        }
    }

    /// Lands, with an error for each who waits, if that is what they are given.
    pub(super) fn land(mut self, mut make: impl FnMut() -> Option<SharedError>) {
        let makes_errors = self.makes_errors;
        let Some((leader, landing)) = self.lead.as_mut().filter(|_| makes_errors) else {
            return;
        };
        let mut errors = Vec::new();
        let mut wanted = leader.served_by(landing);
        // Somebody may join while they are made.
        while errors.len() < wanted {
            let made = std::iter::from_fn(&mut make);
            errors.extend(made.take(wanted - errors.len()));
            if errors.len() < wanted {
                break;
            }
            wanted = leader.served_by(landing);
        }
        if !errors.is_empty() {
            landing.outcomes = Outcomes::Errors(errors);
        }
    }
}

impl Drop for Landed {
    fn drop(&mut self) {
        // A leader without anything for the others has failed.
        if let Some((leader, landing)) = self.lead.take()
            && !landing.outcomes.is_empty()
        {
            leader.land(landing);
        }
    }
}
