//! The flow up to the computation: look first, join on a miss; lead it, or wait for whoever does. Bytes only.
//!
//! 1. Look. Fresh: done. (A refresh remembers what it saw.)
//! 2. Join the flight of this key in the process: one leads, the others follow.
//! 3. The leader tries the lock. Busy: register as a waiter, look, try again; then wait, look, try again.
//! 4. Held: look again. Fresh: land it, done.
//! 5. Compute, put if nothing changed since 4, land, release: [`Lead`].
//!
//! Source: the gist "cache work-sharing using PostgreSQL advisory locks": get, lock, get, compute, store,
//! release.

use std::any::Any;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;

use super::call::{Call, Sight, id_of};
use super::flight::{Leader, Role, Turn};
use super::landing::{Joiner, Landing, Origin, Outcome, is_newer};
use super::lead::Lead;
use super::{ancestry, suspended};
use crate::Error;
use crate::events::Event;
use crate::lock::LockGuard;
use crate::payload::entry::EntryId;

/// How a call goes on.
pub(crate) enum Next {
    /// With an entry of its key and type, that its own look found.
    Hit(Bytes),
    /// With one that another lead computed or found.
    Shared(Bytes),
    /// With an error that another lead computed.
    Failed(Box<dyn Any + Send>),
    /// By computing.
    Lead(Lead),
}

/// Steps 1 to 4. An entry of the id `distrust` counts as missing: it could not be decoded.
///
/// # Cancel safety
/// Dropped, it leaves nothing behind: a flight that it led is led by another, a lock that it took is released.
pub(crate) async fn acquire(call: &Call, distrust: Option<EntryId>) -> Next {
    if ancestry::contains(&call.id()) {
        call.record(Event::Recursive);
        return Next::Lead(Lead::inline());
    }
    let mut waited = false;
    loop {
        let first = call.look(distrust).await;
        if let Some(found) = first.accepted_by(call, None) {
            return if waited {
                Next::Shared(found.bytes)
            } else {
                Next::Hit(found.bytes)
            };
        }
        let joiner = Joiner {
            saw: first.id(),
            refresh: call.options.force_refresh,
        };
        let follower = match call.runtime.flights.join(*call.key.digest(), joiner) {
            Role::Leader(leader) => return lead(call, leader, first, distrust, waited).await,
            Role::Follower(follower) => follower,
        };
        if !std::mem::replace(&mut waited, true) {
            call.record(Event::Waited);
        }
        match suspended::wait(pin!(follower)).await {
            None => {
                call.record(Event::WouldBlock);
                return Next::Lead(Lead::unlocked(call, first));
            }
            Some(Turn::Lead(leader)) => return lead(call, leader, first, distrust, waited).await,
            Some(Turn::Served(Outcome::Error(error))) => return Next::Failed(error()),
            // Unless somebody else uses the same key for another type: the next flight may be ours.
            Some(Turn::Served(Outcome::Entry(bytes))) => {
                if call.frame(&bytes).is_some() {
                    return Next::Shared(bytes);
                }
            }
        }
    }
}

/// Steps 3 and 4, counted as a lead that is suspended while it is not polled.
async fn lead(
    call: &Call,
    leader: Leader,
    first: Sight,
    distrust: Option<EntryId>,
    waited: bool,
) -> Next {
    // Boxed, so that hits and followers do not carry it in their futures.
    let mut leading = Box::pin(lead_to_the_body(call, leader, first, distrust, waited));
    suspended::counted(leading.as_mut()).await
}

async fn lead_to_the_body(
    call: &Call,
    leader: Leader,
    first: Sight,
    distrust: Option<EntryId>,
    waited: bool,
) -> Next {
    let held = match wait_for_lock(call, &leader, &first, distrust, waited).await {
        Ok(Waited::Held(guard)) => Some(Arc::new(guard)),
        Ok(Waited::Unlocked) => None,
        Ok(Waited::Found(found, look)) => return land_found(leader, found, look),
        Err(error) => {
            call.record(Event::WithoutLock(&error));
            None
        }
    };
    let look = leader.begin_look();
    let sight = if first.stored.is_some() {
        // It may be carried along, and then its age is needed.
        call.look_with_age(distrust).await
    } else {
        call.look(distrust).await
    };
    if let Some(found) = sight.accepted_by(call, Some(&first)) {
        drop(held);
        return land_found(leader, found, look);
    }
    Next::Lead(Lead::new(call, leader, look, held, sight))
}

/// Ends a lead with an entry that it found in its look of this number.
fn land_found(leader: Leader, found: Found, look: u64) -> Next {
    let Found {
        bytes,
        id,
        based_on,
    } = found;
    leader.land(&Landing {
        outcome: Outcome::Entry(bytes.clone()),
        look,
        origin: Origin::Found { id, based_on },
    });
    Next::Shared(bytes)
}

enum Waited {
    Held(LockGuard),
    /// It is not worth waiting for the lock, or not possible.
    Unlocked,
    /// Somebody stored a value meanwhile. With the number of the look that found it.
    Found(Found, u64),
}

/// Step 3.
async fn wait_for_lock(
    call: &Call,
    leader: &Leader,
    first: &Sight,
    distrust: Option<EntryId>,
    mut counted: bool,
) -> Result<Waited, Error> {
    let lock = &call.runtime.lock;
    let mut waiter = None;
    loop {
        if waiter.is_some() {
            let look = leader.begin_look();
            let sight = call.look(distrust).await;
            if let Some(found) = sight.accepted_by(call, Some(first)) {
                return Ok(Waited::Found(found, look));
            }
        }
        if let Some(guard) = lock.try_lock(&call.key, ancestry::caller()).await? {
            return Ok(Waited::Held(guard));
        }
        // What another process computes could not be had from the store anyway.
        if first.seen.is_none() || call.runtime.unstorable.contains(call.key.digest()) {
            return Ok(Waited::Unlocked);
        }
        if !std::mem::replace(&mut counted, true) {
            call.record(Event::Waited);
        }
        match &mut waiter {
            // Registered first, then look and try again: a release in between is not missed.
            None => waiter = Some(lock.register_waiter(&call.key).await?),
            Some(waiter) => match suspended::wait(pin!(waiter.woken())).await {
                None => {
                    call.record(Event::WouldBlock);
                    return Ok(Waited::Unlocked);
                }
                Some(woken) => {
                    if let Some(guard) = woken? {
                        return Ok(Waited::Held(guard));
                    }
                }
            },
        }
    }
}

impl Sight {
    /// The id of what stands there; `None` where the look failed.
    pub(super) fn id(&self) -> Option<EntryId> {
        self.seen.map(id_of)
    }

    /// The entry, if this call may return its value. A refresh wants one that was computed after its first look.
    fn accepted_by(&self, call: &Call, first: Option<&Sight>) -> Option<Found> {
        let (id, based_on) = self.fresh?;
        let is_newer = || first.is_some_and(|first| is_newer(first.id(), id, based_on));
        if call.options.force_refresh && !is_newer() {
            return None;
        }
        let bytes = self.stored.as_ref()?.bytes.clone();
        Some(Found {
            bytes,
            id,
            based_on,
        })
    }
}

/// A fresh entry.
struct Found {
    bytes: Bytes,
    id: EntryId,
    based_on: EntryId,
}
