//! A leader on its way to the body: the lock, and the look under it. Steps 3 and 4 of [`acquire`](super::acquire).

use std::pin::pin;

use bytes::Bytes;

use super::acquire::{Acquisition, Next, Step, Why};
use super::call::{Call, Sight, id_of};
use super::flight::Leader;
use super::keeping::Filling;
use super::landing::{Landing, Origin, Outcomes, is_newer};
use super::lead::Lead;
use super::waiting::{Unserved, wait};
use super::{ancestry, suspended};
use crate::Error;
use crate::events::Event;
use crate::events::trouble::Part;
use crate::lock::LockGuard;
use crate::payload::entry::EntryId;

impl Acquisition<'_> {
    /// Steps 3 and 4, counted as a lead that is suspended while it is not polled.
    pub(super) async fn lead(&mut self, leader: Leader, why: Why) -> Step {
        // Boxed, so that hits and followers do not carry it in their futures.
        let mut leading = Box::pin(self.lead_to_the_body(leader, why));
        suspended::counted(leading.as_mut()).await
    }

    async fn lead_to_the_body(&mut self, leader: Leader, why: Why) -> Step {
        self.gather().await;
        let locked = match why {
            Why::Miss => self.wait_for_lock(&leader).await,
            Why::Refresh => self.try_lock().await,
            Why::Overflow => Ok(Locked::Without),
        };
        let held = match locked {
            Ok(Locked::Held(guard)) => Some(guard),
            Ok(Locked::Without) => None,
            Ok(Locked::Found(found, look)) => return land_found(leader, found, look),
            Ok(Locked::Busy) => return self.served(),
            Ok(Locked::TimedOut) => return Step::TimedOut,
            Err(error) => {
                self.call.record(Event::Without(self.lock_part(), &error));
                None
            }
        };
        self.look_under_lock(leader, why, held).await
    }

    /// Step 4.
    async fn look_under_lock(
        &mut self,
        mut leader: Leader,
        why: Why,
        held: Option<LockGuard>,
    ) -> Step {
        let call = self.call;
        self.gather().await;
        let mut look = leader.begin_look();
        let mut sight = self.sight_under_lock().await;
        if sight.lacks_markers() {
            call.lay_missing_markers().await;
            look = leader.begin_look();
            sight = self.sight_under_lock().await;
        }
        if let Some(found) = sight.accepted_by(call, why, &self.first) {
            drop(held);
            return land_found(leader, found, look);
        }
        self.found_nothing(&leader, &sight);
        leader.computes(call.track.is_detached);
        Next::Lead(Lead::new(call, leader, look, held, sight)).into()
    }

    async fn sight_under_lock(&self) -> Sight {
        let call = self.call;
        // What stands there may be carried along, served in place of an error, or an invalidation that has to settle, and
        // then its age is needed; and so is how long its tags' markers are kept.
        let settles = !call.runtime.timeouts.settle.is_zero();
        if self.first.stored.is_some() || !call.tags().is_empty() || settles {
            call.look_with_age(self.distrust).await
        } else {
            call.look(self.distrust).await
        }
    }

    /// What has the lock of this call's key.
    fn lock_part(&self) -> Part<'_> {
        Part::Lock(self.call.runtime.lock.server_of(&self.call.key))
    }

    /// One try: whoever has the lock is computing it anew.
    async fn try_lock(&self) -> Result<Locked, Error> {
        let runtime = &self.call.runtime;
        let lock = &runtime.lock;
        let tried = lock.try_lock(&self.call.key, ancestry::caller()).await?;
        runtime.events.works(self.lock_part());
        match tried {
            Some(guard) => Ok(Locked::Held(guard)),
            None => {
                runtime.pauses.busy(self.call.key.digest());
                Ok(Locked::Busy)
            }
        }
    }

    /// Step 3.
    async fn wait_for_lock(&mut self, leader: &Leader) -> Result<Locked, Error> {
        let call = self.call;
        let lock = &call.runtime.lock;
        let mut waiter = None;
        loop {
            if waiter.is_some() {
                let look = leader.begin_look();
                let sight = call.look(self.distrust).await;
                if let Some(found) = sight.accepted_by(call, Why::Miss, &self.first) {
                    return Ok(Locked::Found(found, look));
                }
            }
            let tried = lock.try_lock(&call.key, ancestry::caller()).await?;
            call.runtime.events.works(self.lock_part());
            if let Some(guard) = tried {
                return Ok(Locked::Held(guard));
            }
            // What another process computes could not be had from the store anyway.
            if self.first.seen.is_none() || call.runtime.unstorable.contains(call.key.digest()) {
                return Ok(Locked::Without);
            }
            self.count_wait();
            // Registered first, then look and try again: a release in between is not missed.
            let Some(waiter) = &mut waiter else {
                waiter = Some(lock.register_waiter(&call.key).await?);
                continue;
            };
            let waited = wait(pin!(waiter.woken()), self.deadline()).await;
            self.goes_on();
            match waited {
                Err(Unserved::TimedOut) => return Ok(Locked::TimedOut),
                Err(Unserved::WouldBlock) => {
                    call.record(Event::WouldBlock);
                    return Ok(Locked::Without);
                }
                Ok(woken) => {
                    self.convoy.slept = true;
                    if let Some(guard) = woken? {
                        return Ok(Locked::Held(guard));
                    }
                }
            }
        }
    }

    /// It has the lock: if it had to wait for that, somebody in another process has ended.
    fn found_nothing(&mut self, leader: &Leader, sight: &Sight) {
        if std::mem::take(&mut self.convoy.slept) && sight.id() == self.first.id() {
            leader.waited_in_vain();
            self.call.record(Event::TookOver);
            self.convoy.waited_in_vain(self.call, 1);
        }
    }
}

/// Ends a lead with an entry that it found in its look of this number.
fn land_found(leader: Leader, found: Found, look: u64) -> Step {
    let Found {
        bytes,
        id,
        based_on,
        tags,
        filling,
    } = found;
    leader.land(Landing {
        outcomes: Outcomes::Entry(bytes.clone()),
        look,
        tags,
        origin: Origin::Found { id, based_on },
    });
    Next::Served(bytes, Event::Shared, filling).into()
}

enum Locked {
    Held(LockGuard),
    /// It is not worth waiting for the lock, or not possible.
    Without,
    /// Somebody has it, and is not waited for.
    Busy,
    /// Somebody stored a value meanwhile. With the number of the look that found it.
    Found(Found, u64),
    /// The call has waited for as long as it may.
    TimedOut,
}

impl Sight {
    /// The id of what stands there; `None` where the look failed.
    pub(super) fn id(&self) -> Option<EntryId> {
        self.seen.map(id_of)
    }

    /// Whether it was seen that markers are missing.
    fn lacks_markers(&self) -> bool {
        self.seen.is_some() && self.markers.hash().is_none()
    }

    /// The entry, if this call may return its value. A refresh wants one that was computed after its first look.
    fn accepted_by(&self, call: &Call, why: Why, first: &Sight) -> Option<Found> {
        let entry = self.entry.filter(|entry| entry.verdict.is_fresh())?;
        let (id, based_on) = (self.id()?, entry.based_on);
        if call.options.force_refresh && !is_newer(first.id(), id, based_on) {
            return None;
        }
        // What it was served meanwhile is what it is to replace.
        if why == Why::Refresh && first.entry.is_some_and(|first| first.id == entry.id) {
            return None;
        }
        let bytes = self.stored.as_ref()?.bytes.clone();
        Some(Found {
            bytes,
            id,
            based_on,
            tags: self.markers.hash(),
            filling: self.filling(call),
        })
    }
}

/// A fresh entry.
struct Found {
    bytes: Bytes,
    id: EntryId,
    based_on: Option<EntryId>,
    tags: Option<u64>,
    filling: Filling,
}
