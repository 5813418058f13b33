//! The flow from the computation on: put, land, release.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::{Call, Sight, id_of};
use super::fence::FenceWatch;
use super::flight::Leader;
use super::landing::{Landing, Origin, Outcome};
use crate::events::Event;
use crate::lock::LockGuard;
use crate::payload::entry::{Carried, Container, EntryId, Written};
use crate::store::{Fence, Seen, Stored};

/// The right to compute. Dropped without landing it has failed, be it by a panic or a dropped future: its lock is
/// released, and a follower takes over.
pub(crate) struct Lead {
    // Dropped in this order: the successor finds the key free.
    held: Option<Arc<LockGuard>>,
    flight: Option<(Leader, u64)>,
    fence: Option<FenceWatch>,
    /// What stands under the key.
    stored: Option<Stored>,
    begun: Instant,
}

/// What came of a computation, as bytes.
pub(crate) enum Product {
    /// An entry, and whether it is to be stored: or else it is for those who wait in this process only.
    Entry(Written, bool),
    Error(Outcome),
    /// Nothing that anybody else could use.
    Nothing,
}

impl Lead {
    /// Of a leader, with what it saw in its look of this number under the lock or, where there is none, without.
    pub(super) fn new(
        call: &Call,
        leader: Leader,
        look: u64,
        held: Option<Arc<LockGuard>>,
        sight: Sight,
    ) -> Self {
        Self {
            flight: Some((leader, look)),
            held,
            ..Self::unlocked(call, sight)
        }
    }

    /// Of a caller that neither leads nor may wait.
    pub(super) fn unlocked(call: &Call, sight: Sight) -> Self {
        Self {
            held: None,
            flight: None,
            fence: Some(FenceWatch::begin(call, sight.seen)),
            stored: sight.stored,
            begun: Instant::now(),
        }
    }

    /// Of a caller inside its own computation: nothing comes of it but its value.
    pub(super) fn inline() -> Self {
        Self {
            held: None,
            flight: None,
            fence: None,
            stored: None,
            begun: Instant::now(),
        }
    }

    /// How long it has been computing.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Whether an entry could be stored.
    pub(super) fn stores(&self) -> bool {
        self.fence.is_some()
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
        let stored = self.stored.as_ref().filter(|stored| stored.whole)?;
        let time_left = stored.time_left?.saturating_sub(self.elapsed());
        let container = Container::parse(&stored.bytes).ok()?;
        container.live_besides(call.fingerprint, time_left)
    }

    /// Puts, lands, and releases. However this ends, by a dropped future too, what was computed is landed.
    pub(super) async fn finish(mut self, call: &Call, product: Product) {
        let (outcome, put) = match product {
            Product::Nothing => return,
            Product::Error(outcome) => (outcome, None),
            Product::Entry(entry, stored) => {
                (Outcome::Entry(entry.bytes.clone()), stored.then_some(entry))
            }
        };
        let mut landing = Landed(self.flight.take().map(|(leader, look)| {
            let origin = Origin::Computed { seen: None };
            let landing = Landing {
                outcome,
                look,
                origin,
            };
            (leader, landing)
        }));
        let Some(fence) = self.fence.take() else {
            return;
        };
        // Those who joined late are served only if nothing has changed that they could have seen.
        landing.is_computed_from(fence.holds());
        match put {
            Some(entry) => put_fenced(call, entry, fence, self.held.take()).await,
            None => drop(self.held.take()),
        }
    }
}

async fn put_fenced(call: &Call, entry: Written, fence: FenceWatch, held: Option<Arc<LockGuard>>) {
    let Some(seen) = fence.confirmed(call).await else {
        return call.record(Event::Refused);
    };
    let runtime = &call.runtime;
    let fence = Fence::new(seen, held);
    let Written { bytes, lives_for } = entry;
    match runtime.store.put(&call.key, bytes, lives_for, fence).await {
        Ok(true) => {
            runtime.unstorable.remove(call.key.digest());
            call.record(Event::Stored);
        }
        Ok(false) => call.record(Event::Refused),
        Err(error) => {
            runtime.unstorable.insert(call.key.digest());
            call.record(Event::WithoutStore(&error));
        }
    }
}

/// Lands when it is dropped.
struct Landed(Option<(Leader, Landing)>);

impl Landed {
    fn is_computed_from(&mut self, seen: Option<Seen>) {
        if let Some((_, landing)) = &mut self.0 {
            let seen = seen.map(id_of);
            landing.origin = Origin::Computed { seen };
        }
    }
}

impl Drop for Landed {
    fn drop(&mut self) {
        if let Some((leader, landing)) = self.0.take() {
            leader.land(&landing);
        }
    }
}
