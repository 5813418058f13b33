//! The flow up to the computation: look first, join on a miss; lead it, or wait for whoever does. Bytes only.
//!
//! 1. Look. Fresh: done. (A refresh remembers what it saw.) Not fresh any more, but of use: done, too, unless this caller
//!    is the one to compute it anew.
//! 2. Join the flight of this key in the process: one leads, the others follow.
//! 3. The leader tries the lock. Busy: register as a waiter, look, try again; then wait, look, try again.
//! 4. Held: look again. Fresh: land it, done.
//! 5. Compute, put if nothing changed since 4, land, release: [`Lead`].
//!
//! With the option `detach` a caller that is to lead ends at 2: the rest is for a task that belongs to the runtime.
//!
//! Source: the gist "cache work-sharing using PostgreSQL advisory locks": get, lock, get, compute, store,
//! release.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::call::{Call, Sight, id_of};
use super::convoy::Convoy;
use super::flight::{Flights, Follower, Leader, Role, Turn};
use super::landing::{Joiner, Landing, Origin, Outcome, Outcomes, is_newer};
use super::lead::Lead;
use super::pauses::Paused;
use super::timing::Verdict;
use super::waiting::{Unserved, wait};
use super::{ancestry, suspended};
use crate::Error;
use crate::detached::Permit;
use crate::events::Event;
use crate::lock::LockGuard;
use crate::payload::entry::EntryId;
use crate::policy::SharedError;

/// How a call goes on.
pub(crate) enum Next {
    /// With an entry of its key and type.
    Served(Bytes, Event<'static>),
    /// With an error that another lead computed.
    Failed(SharedError),
    /// Without: it has waited for as long as it may.
    TimedOut,
    /// By computing.
    Lead(Lead),
    /// By having the rest run detached.
    Detach(Box<Begun>, Permit),
}

/// A lead of a flight, up to step 2.
pub(crate) struct Begun {
    leader: Leader,
    why: Why,
    first: Sight,
    distrust: Option<EntryId>,
    waited: bool,
}

/// Why a caller leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// There is nothing to be served.
    Miss,
    /// There is, and it is to be computed anew.
    Refresh,
    /// It has waited for too long, and does without the lock.
    Overflow,
}

impl Begun {
    /// What its caller is served while it is computed anew, if it is.
    pub(super) fn meanwhile(&self) -> Option<(Bytes, Event<'static>)> {
        let stored = self
            .first
            .stored
            .as_ref()
            .filter(|_| self.why == Why::Refresh)?;
        let verdict = self.first.entry?.verdict;
        Some((stored.bytes.clone(), served_as(verdict, self.waited)))
    }
}

/// One call on its way through steps 1 to 4.
pub(crate) struct Acquisition<'a> {
    call: &'a Call,
    /// An entry of this id counts as missing: it could not be decoded.
    distrust: Option<EntryId>,
    /// What it saw last before it joined a flight. Here, so that no future of a step carries it.
    first: Sight,
    /// It has waited for another lead.
    waited: bool,
    /// It has waited for too long, and goes on without the lock.
    overflow: bool,
    convoy: Convoy,
}

/// What may be done with what a look found.
enum Use {
    None,
    Serve,
    /// It is served while it is computed anew; and this caller is the one to do that.
    Refresh(Leader),
}

/// How a step ends.
enum Step {
    Over(Next),
    /// With step 1: whoever led did not serve it.
    Look,
    Follow(Follower),
    Lead(Leader, Why),
    TimedOut,
}

impl From<Next> for Step {
    fn from(next: Next) -> Self {
        Self::Over(next)
    }
}

impl<'a> Acquisition<'a> {
    pub(crate) fn new(call: &'a Call, distrust: Option<EntryId>) -> Self {
        Self {
            call,
            distrust,
            first: Sight::default(),
            waited: false,
            overflow: false,
            convoy: Convoy::default(),
        }
    }

    /// Steps 1 to 4, from the beginning of a lead on, if there is one.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind: a flight that it led is led by another, a lock that it took is released.
    pub(crate) async fn acquire(&mut self, begun: Option<Box<Begun>>) -> Next {
        let mut step = match begun {
            Some(begun) => self.resume(*begun),
            None if ancestry::contains(&self.call.id()) => {
                self.call.record(Event::Recursive);
                return Next::Lead(Lead::inline());
            }
            None => Step::Look,
        };
        loop {
            step = match step {
                Step::Over(next) => return next,
                Step::Look => self.look_and_join().await,
                Step::Follow(follower) => self.follow(follower).await,
                Step::Lead(leader, why) => self.lead(leader, why).await,
                Step::TimedOut => self.timed_out(),
            };
        }
    }

    /// Steps 1 and 2.
    async fn look_and_join(&mut self) -> Step {
        self.first = self.call.look(self.distrust).await;
        match self.use_of_what_was_seen() {
            Use::Serve => return self.served(),
            Use::Refresh(leader) => return self.begin(leader, Why::Refresh),
            Use::None => {}
        }
        let joiner = self.joiner();
        match self.flights().join(*self.call.key.digest(), joiner) {
            Role::Leader(leader) => self.begin(leader, self.why()),
            Role::Follower(follower) => Step::Follow(follower),
        }
    }

    fn use_of_what_was_seen(&self) -> Use {
        let call = self.call;
        let entry = self.first.entry.filter(|_| !call.options.force_refresh);
        match entry.map(|entry| entry.verdict) {
            None | Some(Verdict::Expired | Verdict::Unknown) => Use::None,
            Some(Verdict::Fresh) => Use::Serve,
            Some(Verdict::Due | Verdict::Stale) => {
                self.refresher().map_or(Use::Serve, Use::Refresh)
            }
            // It has been computed in vain a moment ago.
            Some(Verdict::Spare) => match call.runtime.pauses.of(call.key.digest()) {
                Paused::Failed => Use::Serve,
                Paused::No | Paused::Busy => Use::None,
            },
        }
    }

    /// With what its look found.
    fn served(&mut self) -> Step {
        let first = std::mem::take(&mut self.first);
        match (first.entry, first.stored) {
            (Some(entry), Some(stored)) => {
                let event = served_as(entry.verdict, self.waited);
                Next::Served(stored.bytes, event).into()
            }
            _ => Step::Look,
        }
    }

    /// The lead of a refresh, unless somebody is at it.
    fn refresher(&self) -> Option<Leader> {
        let digest = self.call.key.digest();
        if self.overflow || self.call.runtime.pauses.of(digest) != Paused::No {
            return None;
        }
        self.call.runtime.flights.try_lead(*digest)
    }

    fn flights(&self) -> &Arc<Flights> {
        if self.overflow {
            &self.call.runtime.overflow
        } else {
            &self.call.runtime.flights
        }
    }

    fn why(&self) -> Why {
        if self.overflow {
            Why::Overflow
        } else {
            Why::Miss
        }
    }

    /// Who has waited for too long waits for no lock, and for no end of an overflow.
    fn deadline(&self) -> Option<Instant> {
        self.call.deadline.filter(|_| !self.overflow)
    }

    fn joiner(&self) -> Joiner {
        let options = &self.call.options;
        Joiner {
            saw: self.first.id(),
            refresh: options.force_refresh,
            takes_older: options.rare().serves_stale(),
        }
    }

    fn count_wait(&mut self) {
        if !std::mem::replace(&mut self.waited, true) {
            self.call.record(Event::Waited);
        }
    }

    async fn follow(&mut self, follower: Follower) -> Step {
        self.count_wait();
        let call = self.call;
        let mut follower = pin!(follower);
        let mut turn = wait(follower.as_mut(), self.deadline()).await;
        // Beside a body of its own process that goes on anyway it begins no other.
        if turn.is_err() && call.options.rare().overflow && follower.awaits_detached_body() {
            turn = wait(follower.as_mut(), None).await;
        }
        self.convoy.waited_in_vain(call, follower.waited_in_vain());
        match turn {
            Err(Unserved::TimedOut) => Step::TimedOut,
            Err(Unserved::WouldBlock) => {
                call.record(Event::WouldBlock);
                let first = std::mem::take(&mut self.first);
                Next::Lead(Lead::unlocked(call, first)).into()
            }
            Ok(Turn::Lead(leader)) => self.begin(leader, self.why()),
            Ok(Turn::Served(Outcome::Error(error))) => Next::Failed(error).into(),
            // Unless somebody else uses the same key for another type: the next flight may be ours.
            Ok(Turn::Served(Outcome::Entry(bytes))) => match call.frame(&bytes) {
                Some(_) => Next::Served(bytes, Event::Shared).into(),
                None => Step::Look,
            },
        }
    }

    fn timed_out(&mut self) -> Step {
        let options = &self.call.options;
        let first = std::mem::take(&mut self.first);
        if let Some(bytes) = first.into_servable()
            && !options.force_refresh
        {
            return Next::Served(bytes, Event::Stale).into();
        }
        self.call.record(Event::TimedOut);
        if !options.rare().overflow {
            return Next::TimedOut.into();
        }
        self.overflow = true;
        Step::Look
    }

    /// Steps 3 and 4, here or detached.
    fn begin(&mut self, leader: Leader, why: Why) -> Step {
        let detaches = self.call.options.detach;
        let permit = detaches
            .then(|| self.call.runtime.detached.admit())
            .flatten();
        // Nobody is to wait for a refresh.
        if detaches && permit.is_none() && why == Why::Refresh {
            return self.served();
        }
        let Some(permit) = permit else {
            return Step::Lead(leader, why);
        };
        let begun = Box::new(Begun {
            leader,
            why,
            first: std::mem::take(&mut self.first),
            distrust: self.distrust,
            waited: self.waited,
        });
        Next::Detach(begun, permit).into()
    }

    /// Goes on with what another acquisition has begun.
    fn resume(&mut self, begun: Begun) -> Step {
        self.first = begun.first;
        self.waited |= begun.waited;
        self.distrust = self.distrust.or(begun.distrust);
        Step::Lead(begun.leader, begun.why)
    }

    /// Steps 3 and 4, counted as a lead that is suspended while it is not polled.
    async fn lead(&mut self, leader: Leader, why: Why) -> Step {
        // Boxed, so that hits and followers do not carry it in their futures.
        let mut leading = Box::pin(self.lead_to_the_body(leader, why));
        suspended::counted(leading.as_mut()).await
    }

    async fn lead_to_the_body(&mut self, leader: Leader, why: Why) -> Step {
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
                self.call.record(Event::WithoutLock(&error));
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
        let look = leader.begin_look();
        let sight = if self.first.stored.is_some() {
            // It may be carried along, or served in place of an error, and then its age is needed.
            call.look_with_age(self.distrust).await
        } else {
            call.look(self.distrust).await
        };
        if let Some(found) = sight.accepted_by(call, why, &self.first) {
            drop(held);
            return land_found(leader, found, look);
        }
        self.found_nothing(&leader, &sight);
        leader.computes(call.is_detached);
        Next::Lead(Lead::new(call, leader, look, held, sight)).into()
    }

    /// One try: whoever has the lock is computing it anew.
    async fn try_lock(&self) -> Result<Locked, Error> {
        let runtime = &self.call.runtime;
        match runtime
            .lock
            .try_lock(&self.call.key, ancestry::caller())
            .await?
        {
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
                self.found_nothing(leader, &sight);
            }
            if let Some(guard) = lock.try_lock(&call.key, ancestry::caller()).await? {
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
            match wait(pin!(waiter.woken()), self.deadline()).await {
                Err(Unserved::TimedOut) => return Ok(Locked::TimedOut),
                Err(Unserved::WouldBlock) => {
                    call.record(Event::WouldBlock);
                    return Ok(Locked::Without);
                }
                Ok(woken) => {
                    self.convoy.woken = true;
                    if let Some(guard) = woken? {
                        return Ok(Locked::Held(guard));
                    }
                }
            }
        }
    }

    /// It looked, and may have been woken because somebody in another process had ended.
    fn found_nothing(&mut self, leader: &Leader, sight: &Sight) {
        if std::mem::take(&mut self.convoy.woken) && sight.id() == self.first.id() {
            leader.waited_in_vain();
            self.convoy.waited_in_vain(self.call, 1);
        }
    }
}

fn served_as(verdict: Verdict, waited: bool) -> Event<'static> {
    match verdict {
        Verdict::Stale | Verdict::Spare => Event::Stale,
        _ if waited => Event::Shared,
        _ => Event::Hit,
    }
}

/// Ends a lead with an entry that it found in its look of this number.
fn land_found(leader: Leader, found: Found, look: u64) -> Step {
    let Found {
        bytes,
        id,
        based_on,
    } = found;
    leader.land(Landing {
        outcomes: Outcomes::Entry(bytes.clone()),
        look,
        origin: Origin::Found { id, based_on },
    });
    Next::Served(bytes, Event::Shared).into()
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
        })
    }
}

/// A fresh entry.
struct Found {
    bytes: Bytes,
    id: EntryId,
    based_on: Option<EntryId>,
}
