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

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::ancestry;
use super::call::{Call, Sight};
use super::convoy::Convoy;
use super::flight::{Flights, Follower, Leader, Role, Turn};
use super::keeping::Filling;
use super::landing::{Joiner, Outcome};
use super::lead::Lead;
use super::pauses::Paused;
use super::timing::Verdict;
use super::waiting::{Unserved, wait};
use crate::detached::Permit;
use crate::events::Event;
use crate::events::meters::Timed;
use crate::payload::entry::EntryId;
use crate::policy::SharedError;

/// How a call goes on.
pub(crate) enum Next {
    /// With an entry of its key and type, which may be kept in this process.
    Served(Bytes, Event<'static>, Filling),
    /// With an error that another lead computed.
    Failed(SharedError),
    /// Without: it has waited for as long as it may.
    TimedOut,
    /// By computing.
    Lead(Lead),
    /// By having the rest run detached.
    /// The permit is there unless it is one for several calls.
    Detach(Box<Begun>, Option<Permit>),
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
pub(super) enum Why {
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
    pub(super) call: &'a Call,
    /// An entry of this id counts as missing: it could not be decoded.
    pub(super) distrust: Option<EntryId>,
    /// What it saw last before it joined a flight. Here, so that no future of a step carries it.
    pub(super) first: Sight,
    /// It has waited for another lead.
    waited: bool,
    /// For as long as it may still wait.
    timed: Timed,
    /// It has waited for too long, and goes on without the lock.
    overflow: bool,
    pub(super) convoy: Convoy,
}

/// What may be done with what a look found.
enum Use {
    None,
    Serve,
    /// It is served while it is computed anew; and this caller is the one to do that.
    Refresh(Leader),
}

/// How a step ends.
pub(super) enum Step {
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
            timed: Timed::NONE,
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
                Step::Follow(mut follower) => self.follow(&mut follower).await,
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
    pub(super) fn served(&mut self) -> Step {
        let first = std::mem::take(&mut self.first);
        let filling = first.filling(self.call);
        match (first.entry, first.stored) {
            (Some(entry), Some(stored)) => {
                let event = served_as(entry.verdict, self.waited);
                Next::Served(stored.bytes, event, filling).into()
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
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.call.deadline.filter(|_| !self.overflow)
    }

    fn joiner(&self) -> Joiner {
        let options = &self.call.options;
        Joiner {
            saw: self.first.id(),
            tags: self.first.markers.hash(),
            refresh: options.force_refresh,
            takes_older: options.rare().serves_stale(),
        }
    }

    pub(super) fn count_wait(&mut self) {
        if !std::mem::replace(&mut self.waited, true) {
            let track = &self.call.track;
            self.call.record(Event::Waited);
            track.record("waited");
            self.timed = track.function.waiting();
        }
        if let Some(batch) = &self.call.options.rare().batch {
            batch.waits();
        }
    }

    /// Of several calls: what each asks next goes together.
    pub(super) async fn gather(&self) {
        if let Some(batch) = &self.call.options.rare().batch {
            batch.gather().await;
        }
    }

    pub(super) fn goes_on(&self) {
        if let Some(batch) = &self.call.options.rare().batch {
            batch.goes_on();
        }
    }

    async fn follow(&mut self, follower: &mut Follower) -> Step {
        self.count_wait();
        let call = self.call;
        call.track.follows(follower.leader());
        let mut turn = wait(Pin::new(&mut *follower), self.deadline()).await;
        // Beside a body of its own process that goes on anyway it begins no other.
        if turn.is_err() && call.options.rare().overflow && follower.awaits_detached_body() {
            turn = wait(Pin::new(&mut *follower), None).await;
        }
        self.goes_on();
        self.convoy.waited_in_vain(call, follower.waited_in_vain());
        match turn {
            Err(Unserved::TimedOut) => Step::TimedOut,
            Err(Unserved::WouldBlock) => {
                call.record(Event::WouldBlock);
                let first = std::mem::take(&mut self.first);
                Next::Lead(Lead::unlocked(call, first)).into()
            }
            Ok(Turn::Lead(leader)) => {
                call.record(Event::TookOver);
                self.begin(leader, self.why())
            }
            Ok(Turn::Served(Outcome::Error(error))) => Next::Failed(error).into(),
            // Unless somebody else uses the same key for another type: the next flight may be ours.
            Ok(Turn::Served(Outcome::Entry(bytes))) => match call.frame(&bytes) {
                Some(_) => Next::Served(bytes, Event::Shared, None).into(),
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
            return Next::Served(bytes, Event::Stale, None).into();
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
        leader.shows(&self.call.track);
        if !self.call.options.detach {
            return Step::Lead(leader, why);
        }
        let detached = &self.call.runtime.detached;
        let permit = match &self.call.options.rare().batch {
            // One is for all of them.
            Some(batch) => batch.admit(detached).then_some(None),
            None => detached.admit().map(Some),
        };
        let permit = match permit {
            Some(permit) => permit,
            // Nobody is to wait for a refresh.
            None if why == Why::Refresh => return self.served(),
            None => return Step::Lead(leader, why),
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
}

fn served_as(verdict: Verdict, waited: bool) -> Event<'static> {
    match verdict {
        Verdict::Stale | Verdict::Spare => Event::Stale,
        _ if waited => Event::Shared,
        _ => Event::Hit,
    }
}
