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

#[cfg(test)]
#[cfg(feature = "__shuttle")]
mod explore;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, Shape};
use crate::computing;
use crate::entry::{Body, Entry, EntryId};
use crate::events::count;
use crate::fingerprint::fingerprint;
use crate::flight::{Landing, Leader, Role};
use crate::lock::LockGuard;
use crate::outcome::Outcome;
use crate::sharing::Inner;
use crate::store::{Fence, Seen};
use crate::{Error, Key};

/// Everything the flow needs to know of one call, but the types.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) sharing: Arc<Inner>,
    pub(crate) key: Key,
    pub(crate) ttl: Option<Duration>,
    pub(crate) force_refresh: bool,
    pub(crate) cache_none: bool,
    pub(crate) version: u32,
    pub(crate) name: &'static str,
}

/// What a look into the store found.
enum Found<T> {
    Fresh(T, Bytes),
    Miss(Seen),
}

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
    if computing::contains(&call.id()) {
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
    let outcome = computing::within(call.id(), compute()).await;
    if let Some(value) = outcome.shared()
        && let Some((entry, ttl)) = call.entry(value, &lifetime, begun.elapsed())
    {
        if let Some(leader) = &mut leader {
            leader.land_on_drop(entry.clone());
        }
        call.put(entry, ttl, Fence::new(seen, held.clone())).await;
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
        if let Some(guard) = lock.try_lock(&call.key).await? {
            return Ok(Waited::Held(guard));
        }
        match &mut waiter {
            // Interest first, then look and try again: a release in between is not missed.
            None => {
                count(&call.sharing.counts.waited);
                waiter = Some(lock.interest(&call.key).await?);
            }
            Some(waiter) => {
                if let Some(guard) = waiter.woken().await? {
                    return Ok(Waited::Held(guard));
                }
            }
        }
    }
}

impl Call {
    fn id(&self) -> computing::Id {
        (Arc::as_ptr(&self.sharing).addr(), *self.key.digest())
    }

    /// The value under this key. Trouble with the store is a miss.
    async fn look<T: DeserializeOwned>(&self) -> Found<T> {
        match self.sharing.store.get(&self.key).await {
            Ok(Some(entry)) => match self.read_stored(&entry) {
                Some(value) => Found::Fresh(value, entry),
                None => Found::Miss(Seen::of(Some(&entry))),
            },
            Ok(None) => Found::Miss(Seen::of(None)),
            Err(error) => {
                self.sharing.without_store(self, &error);
                Found::Miss(Seen::of(None))
            }
        }
    }

    pub(crate) async fn peek<T: DeserializeOwned>(&self) -> Option<T> {
        match self.look().await {
            Found::Fresh(value, _) => Some(value),
            Found::Miss(_) => None,
        }
    }

    pub(crate) async fn invalidate(&self) -> Result<(), Error> {
        let tombstone = Entry {
            id: EntryId::random(),
            fingerprint: 0,
            computed_at: SystemTime::now(),
            compute_time: Duration::ZERO,
            characteristic: self.key.characteristic(),
            body: Body::Tombstone,
        };
        let ttl = self.sharing.tombstone_ttl;
        let laid = self
            .sharing
            .store
            .replace(&self.key, tombstone.to_bytes(), ttl)
            .await;
        // Whoever asks from now on must not be given what was begun before.
        self.sharing.flights.forget(self.key.digest());
        laid
    }

    /// [`read`](Self::read), for an entry that somebody may have stored under other limits.
    fn read_stored<T: DeserializeOwned>(&self, bytes: &[u8]) -> Option<T> {
        if bytes.len() > self.sharing.max_value_bytes {
            return self.unreadable("it is larger than Builder::max_value_bytes allows");
        }
        self.read(bytes)
    }

    /// Decodes an entry, if it is a value of this key and type.
    fn read<T: DeserializeOwned>(&self, bytes: &[u8]) -> Option<T> {
        let entry = match Entry::parse(bytes) {
            Ok(entry) => entry,
            Err(reason) => return self.unreadable(&reason.to_string()),
        };
        let Body::Value { codec, payload } = entry.body else {
            return None;
        };
        if entry.characteristic != self.key.characteristic() {
            return self
                .unreadable("it belongs to another characteristic string with the same digest");
        }
        if entry.fingerprint != fingerprint::<T>(self.version).hash {
            return self.unreadable("it holds a value of another type, structure or version");
        }
        match codec::decode(codec, payload, usize::MAX) {
            Ok(value) => Some(value),
            Err(reason) => self.unreadable(&reason.to_string()),
        }
    }

    fn unreadable<T>(&self, reason: &str) -> Option<T> {
        self.sharing.unreadable(self, reason);
        None
    }

    /// The entry of a computed value and its time to live, if it is to be shared at all.
    fn entry<T: Serialize + DeserializeOwned>(
        &self,
        value: &T,
        lifetime: &impl Fn(&T, Duration) -> Option<Duration>,
        compute_time: Duration,
    ) -> Option<(Bytes, Duration)> {
        match codec::shape(value) {
            Shape::Err => return None,
            Shape::None if !self.cache_none => return None,
            _ => {}
        }
        let ttl = lifetime(value, self.ttl.unwrap_or(self.sharing.default_ttl))?;
        let fingerprint = fingerprint::<T>(self.version);
        match codec::encode(value, fingerprint.names, usize::MAX) {
            Ok((codec, payload)) => {
                let entry = Entry {
                    id: EntryId::random(),
                    fingerprint: fingerprint.hash,
                    computed_at: SystemTime::now(),
                    compute_time,
                    characteristic: self.key.characteristic(),
                    body: Body::Value {
                        codec,
                        payload: &payload,
                    },
                };
                Some((entry.to_bytes(), ttl))
            }
            Err(reason) => {
                self.sharing.unshareable(self, &reason.to_string());
                None
            }
        }
    }

    async fn put(&self, entry: Bytes, ttl: Duration, fence: Fence) {
        let sharing = &self.sharing;
        if entry.len() > sharing.max_value_bytes {
            return sharing.too_large(self, entry.len());
        }
        if ttl.is_zero() {
            return sharing.no_lifetime(self);
        }
        match sharing
            .store
            .put(&self.key, entry, ttl.min(LONGEST), fence)
            .await
        {
            Ok(true) => count(&sharing.counts.stored),
            Ok(false) => sharing.refused(self),
            Err(error) => sharing.without_store(self, &error),
        }
    }

    fn recursion(&self) {
        self.sharing.recursion(self);
    }
}

/// Ten years: past what any store's clock arithmetic minds.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
