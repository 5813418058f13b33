//! The flow: one place, for sync and async callers alike.
//!
//! 1. A refresh skips the result of 2 and 5.
//! 2. Join the flight of this key in the process: one leads, the others follow.
//! 3. The leader gets from the store. Fresh: land it, done.
//! 4. Try the lock. Busy: wait, then back to 3.
//! 5. Held: get again. Fresh: release, land, done.
//! 6. Compute. 7. Put, if nothing changed since 5. 8. Land. 9. Release, queued, not awaited.
//!
//! Source: the gist "cache work-sharing using PostgreSQL advisory locks": get, lock, get, compute, store,
//! release.

pub(crate) mod ancestry;
mod call;
#[cfg(test)]
#[cfg(feature = "__shuttle")]
mod explore;
mod flight;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::de::DeserializeOwned;

pub(crate) use self::call::Call;
use self::call::Found;
pub(crate) use self::flight::Flights;
use self::flight::{Landing, Leader, Role};
use crate::Error;
use crate::events::count;
use crate::lock::LockGuard;
use crate::outcome::Outcome;
use crate::store::{Fence, Seen};

/// How a leader's wait for its turn ended.
enum Turn<T> {
    /// Somebody stored a value meanwhile.
    Fresh(T, Bytes),
    /// It is ours to compute, with the lock or, where the lock server fails, without; and what stands there now.
    Compute(Option<Arc<LockGuard>>, Seen),
}

/// Runs the flow. `lifetime` tells how long a value is to live, or `None` if it is not to be stored.
pub(crate) async fn share<O, P, F>(call: &Call, lifetime: P, compute: F) -> O
where
    O: Outcome,
    P: Fn(&O::Shared, Duration) -> Option<Duration>,
    F: AsyncFnOnce() -> O,
{
    if ancestry::contains(&call.id()) {
        call.recursion();
        return compute().await;
    }
    let mut leader = None;
    if !call.force_refresh {
        leader = match join(call).await {
            Joined::Lead(leader) => Some(leader),
            Joined::Shared(value) => return O::from_shared(value),
        };
    }
    // The match ends before the computation: no value is kept across it, so that the future is `Send` where it
    // is not known whether the value is.
    let (held, seen) = match turn(call).await {
        Turn::Fresh(value, entry) => {
            if let Some(leader) = &mut leader {
                leader.land_on_drop(entry);
            }
            return O::from_shared(value);
        }
        Turn::Compute(held, seen) => (held, seen),
    };
    lead(call, leader, held, seen, lifetime, compute).await
}

/// Steps 6 to 9. However this ends, by a panic or a dropped future too, the lock is released, and without a value
/// before the lead is passed on (arguments are dropped from the last to the first): the successor finds the key
/// free.
async fn lead<O, P, F>(
    call: &Call,
    mut leader: Option<Leader>,
    held: Option<Arc<LockGuard>>,
    seen: Seen,
    lifetime: P,
    compute: F,
) -> O
where
    O: Outcome,
    P: Fn(&O::Shared, Duration) -> Option<Duration>,
    F: AsyncFnOnce() -> O,
{
    let begun = Instant::now();
    count(&call.sharing.counts.computed);
    let outcome = ancestry::within(call.id(), compute()).await;
    if let Some(value) = outcome.shared()
        && let Some(entry) = call.entry(value, &lifetime, begun.elapsed())
    {
        if let Some(leader) = &mut leader {
            leader.land_on_drop(entry.bytes.clone());
        }
        call.put(entry, Fence::new(seen, held.clone())).await;
        leader = None;
    }
    drop(held);
    drop(leader);
    outcome
}

enum Joined<T> {
    Lead(Leader),
    Shared(T),
}

async fn join<T: DeserializeOwned>(call: &Call) -> Joined<T> {
    loop {
        let follower = match call.sharing.flights.join(*call.key.digest()) {
            Role::Leader(leader) => return Joined::Lead(leader),
            Role::Follower(follower) => follower,
        };
        count(&call.sharing.counts.waited);
        match follower.await {
            Landing::Lead(leader) => return Joined::Lead(leader),
            Landing::Value(entry) => {
                // Not of our type: somebody else uses the same key. The next flight may be ours.
                if let Some(value) = call.read(&entry) {
                    count(&call.sharing.counts.shared);
                    return Joined::Shared(value);
                }
            }
        }
    }
}

/// Steps 3 to 5: until there is a fresh value, or it is our turn to compute.
async fn turn<T: DeserializeOwned>(call: &Call) -> Turn<T> {
    let held = match wait(call).await {
        Ok(Waited::Fresh(value, entry)) => return Turn::Fresh(value, entry),
        Ok(Waited::Held(guard)) => Some(Arc::new(guard)),
        Err(error) => {
            call.sharing.without_lock(call, &error);
            None
        }
    };
    match call.look().await {
        Found::Fresh(_, entry) if call.force_refresh => Turn::Compute(held, Seen::of(Some(&entry))),
        Found::Fresh(value, entry) => {
            count(&call.sharing.counts.shared);
            Turn::Fresh(value, entry)
        }
        Found::Miss(seen) => Turn::Compute(held, seen),
    }
}

enum Waited<T> {
    Fresh(T, Bytes),
    Held(LockGuard),
}

/// Steps 3 and 4.
async fn wait<T: DeserializeOwned>(call: &Call) -> Result<Waited<T>, Error> {
    let lock = &call.sharing.lock;
    let mut waiter = None;
    loop {
        if !call.force_refresh
            && let Found::Fresh(value, entry) = call.look().await
        {
            let counts = &call.sharing.counts;
            count(if waiter.is_none() {
                &counts.hits
            } else {
                &counts.shared
            });
            return Ok(Waited::Fresh(value, entry));
        }
        if let Some(guard) = lock.try_lock(&call.key, ancestry::caller()).await? {
            return Ok(Waited::Held(guard));
        }
        match &mut waiter {
            // Interest first, then look and try again: a release in between is not missed.
            None => {
                count(&call.sharing.counts.waited);
                waiter = Some(lock.register_waiter(&call.key).await?);
            }
            Some(waiter) => {
                if let Some(guard) = waiter.woken().await? {
                    return Ok(Waited::Held(guard));
                }
            }
        }
    }
}
