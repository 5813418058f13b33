//! Single-flight: of all callers of one key in this process one leads, the others follow.
//!
//! A flight lives for as long as somebody leads or follows it. Its leaders come one after the other; each looks
//! under the lock, computes, and lands an outcome. Who takes it is decided by the landing rule, [`Landing::serves`];
//! whoever it does not serve stays, and one of those leads next.

#[cfg(test)]
#[cfg(feature = "__shuttle")]
mod explore;

use std::collections::{BTreeMap, HashMap, hash_map};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::landing::{Joiner, Landing, Outcome};
use crate::background;
use crate::events::track::{Track, Trail};
use crate::sync::{Mutex, lock};

type Digest = [u8; 16];

/// How long a successor may take to be polled before another follower is named.
const SUCCESSION: Duration = Duration::from_secs(1);

/// The flights under way, by the digest of their key.
///
/// Lock order: this map, then a flight's state. Nobody is woken, and no waker dropped, under either.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<Digest, Arc<Flight>>>);

#[derive(Default)]
struct Flight(Mutex<State>);

#[derive(Default)]
struct State {
    /// How many looks the leaders of this flight have sent.
    looks: u64,
    /// The follower that is to lead next, until it takes up the lead.
    successor: Option<u64>,
    /// The leader is a detached one, and computes.
    computes_detached: bool,
    /// Of the leader, where that is traced.
    trail: Option<Arc<Trail>>,
    /// How many computations left nothing to those who waited.
    failures: u16,
    /// Who follows, in the order of joining.
    followers: BTreeMap<u64, Slot>,
    next_ticket: u64,
}

/// A follower.
struct Slot {
    joiner: Joiner,
    /// The number of looks that had been sent when it joined.
    looks: u64,
    /// The number of failures by then.
    failures: u16,
    waker: Option<Waker>,
    /// What it was given: it only has to fetch it.
    outcome: Option<Outcome>,
}

impl Slot {
    fn is_served_by(&self, landing: &Landing) -> bool {
        self.outcome.is_none() && landing.serves(&self.joiner, self.looks < landing.look)
    }
}

/// What a caller is in a flight.
pub(crate) enum Role {
    Leader(Leader),
    Follower(Follower),
}

/// What a follower is given in the end.
pub(crate) enum Turn {
    Served(Outcome),
    /// The leader is gone without an outcome for this follower, which takes its place.
    Lead(Leader),
}

impl Flights {
    /// Joins the flight of a key: leads it if nobody does.
    pub(crate) fn join(self: &Arc<Self>, digest: Digest, joiner: Joiner) -> Role {
        match lock(&self.0).entry(digest) {
            hash_map::Entry::Vacant(vacant) => Role::Leader(self.lead(vacant)),
            hash_map::Entry::Occupied(occupied) => {
                let flight = Arc::clone(occupied.get());
                let ticket = lock(&flight.0).admit(joiner);
                Role::Follower(Follower {
                    flight: Some(FlightRef::new(self, digest, flight)),
                    ticket,
                    waited_in_vain: 0,
                })
            }
        }
    }

    /// Leads the flight of a key, unless somebody does.
    pub(crate) fn try_lead(self: &Arc<Self>, digest: Digest) -> Option<Leader> {
        match lock(&self.0).entry(digest) {
            hash_map::Entry::Vacant(vacant) => Some(self.lead(vacant)),
            hash_map::Entry::Occupied(_) => None,
        }
    }

    fn lead(self: &Arc<Self>, vacant: hash_map::VacantEntry<'_, Digest, Arc<Flight>>) -> Leader {
        let digest = *vacant.key();
        let flight = Arc::clone(vacant.insert(Arc::default()));
        Leader::new(FlightRef::new(self, digest, flight))
    }

    /// Keeps callers that join from now on from taking what the flight under way lands: its leader began before.
    pub(crate) fn supersede(&self, digest: &Digest) {
        let flight = lock(&self.0).remove(digest);
        drop(flight);
    }
}

impl State {
    fn admit(&mut self, joiner: Joiner) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let slot = Slot {
            joiner,
            looks: self.looks,
            failures: self.failures,
            waker: None,
            outcome: None,
        };
        self.followers.insert(ticket, slot);
        ticket
    }

    /// Names the follower that is to lead next: the first that waits behind this ticket, or the first of all.
    fn name_successor(&mut self, behind: Option<u64>) -> Option<(u64, Option<Waker>)> {
        let waits = |(_, slot): &(&u64, &mut Slot)| slot.outcome.is_none();
        let start = behind.map_or(0, |ticket| ticket + 1);
        let mut next = self.followers.range_mut(start..).find(waits);
        if next.is_none() {
            next = self.followers.iter_mut().find(waits);
        }
        let (ticket, waker) = next.map(|(ticket, slot)| (*ticket, slot.waker.take()))?;
        self.successor = Some(ticket);
        Some((ticket, waker))
    }

    /// Gives the outcome to those whom it serves.
    fn serve(&mut self, landing: &mut Landing) -> Vec<Waker> {
        let mut given = Vec::new();
        for slot in self.followers.values_mut() {
            if slot.is_served_by(landing) {
                slot.outcome = landing.outcomes.next();
                given.extend(slot.waker.take_if(|_| slot.outcome.is_some()));
            }
        }
        given
    }
}

/// A flight, with the way back to the map.
#[derive(Clone)]
struct FlightRef {
    flights: Arc<Flights>,
    digest: Digest,
    flight: Arc<Flight>,
}

impl FlightRef {
    fn new(flights: &Arc<Flights>, digest: Digest, flight: Arc<Flight>) -> Self {
        Self {
            flights: Arc::clone(flights),
            digest,
            flight,
        }
    }

    /// The leader is gone. Gives its outcome, if there is one, to those whom it serves; one of the others leads next,
    /// and if there is none the flight is over.
    fn end_lead(&self, landing: Option<&mut Landing>, failed: bool) {
        let (served, successor) = {
            let mut flights = lock(&self.flights.0);
            let mut state = lock(&self.flight.0);
            state.computes_detached = false;
            state.failures = state.failures.wrapping_add(failed.into());
            let served = landing.map_or_else(Vec::new, |landing| state.serve(landing));
            let successor = state.name_successor(None);
            if successor.is_none() {
                self.remove(&mut flights);
            }
            (served, successor)
        };
        served.into_iter().for_each(Waker::wake);
        self.wake_successor(successor);
    }

    /// Wakes a successor, and sees to it that the succession goes on if it is not polled.
    fn wake_successor(&self, successor: Option<(u64, Option<Waker>)>) {
        let Some((ticket, waker)) = successor else {
            return;
        };
        waker.into_iter().for_each(Waker::wake);
        let this = self.clone();
        background::after(SUCCESSION, move || this.pass_over(ticket));
    }

    /// Names another successor, unless this one has taken up the lead by now.
    fn pass_over(&self, ticket: u64) {
        let successor = {
            let mut state = lock(&self.flight.0);
            if state.successor != Some(ticket) {
                return;
            }
            state.name_successor(Some(ticket))
        };
        self.wake_successor(successor);
    }

    fn remove(&self, flights: &mut HashMap<Digest, Arc<Flight>>) {
        if flights
            .get(&self.digest)
            .is_some_and(|flight| Arc::ptr_eq(flight, &self.flight))
        {
            flights.remove(&self.digest);
        }
    }
}

/// The one who looks under the lock and computes. Dropped without landing it has failed, be it by a panic, a dropped
/// future, or an error that cannot be shared: a follower takes over.
pub(crate) struct Leader {
    flight: Option<FlightRef>,
    /// It has begun to compute.
    computes: bool,
}

impl Leader {
    fn new(flight: FlightRef) -> Self {
        Self {
            flight: Some(flight),
            computes: false,
        }
    }

    /// A look is about to be sent: its number. Whoever has joined by now asked before it.
    pub(crate) fn begin_look(&self) -> u64 {
        self.flight.as_ref().map_or(0, |flight| {
            let mut state = lock(&flight.flight.0);
            state.looks += 1;
            state.looks
        })
    }

    /// Whether somebody follows who could be given an outcome.
    pub(crate) fn is_followed(&self) -> bool {
        let flight = self.flight.as_ref();
        flight.is_some_and(|flight| !lock(&flight.flight.0).followers.is_empty())
    }

    /// Whose lead it is, for those who follow.
    pub(crate) fn shows(&self, track: &Track) {
        if let (Some(trail), Some(flight)) = (track.trail(), &self.flight) {
            let old = lock(&flight.flight.0).trail.replace(trail);
            drop(old);
        }
    }

    /// It begins to compute; detached, it belongs to no caller.
    pub(crate) fn computes(&mut self, detached: bool) {
        self.computes = true;
        if let Some(flight) = self.flight.as_ref().filter(|_| detached) {
            lock(&flight.flight.0).computes_detached = true;
        }
    }

    /// A computation in another process has left nothing, for which all of this flight have waited.
    pub(crate) fn waited_in_vain(&self) {
        if let Some(flight) = &self.flight {
            let mut state = lock(&flight.flight.0);
            state.failures = state.failures.wrapping_add(1);
        }
    }

    /// How many wait whom this would serve.
    pub(crate) fn served_by(&self, landing: &Landing) -> usize {
        self.flight.as_ref().map_or(0, |flight| {
            let state = lock(&flight.flight.0);
            let followers = state.followers.values();
            followers.filter(|slot| slot.is_served_by(landing)).count()
        })
    }

    /// Ends the lead with an outcome.
    pub(crate) fn land(mut self, mut landing: Landing) {
        if let Some(flight) = self.flight.take() {
            flight.end_lead(Some(&mut landing), false);
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            flight.end_lead(None, self.computes);
        }
    }
}

/// One who waits for a leader's outcome.
///
/// # Cancel safety
/// Dropped, it leaves the flight; if it was the successor, the next one is.
pub(crate) struct Follower {
    flight: Option<FlightRef>,
    ticket: u64,
    waited_in_vain: u16,
}

impl Follower {
    /// For how many computations it has waited that left it nothing, once its wait is over.
    pub(crate) fn waited_in_vain(&self) -> u16 {
        self.waited_in_vain
    }

    /// Whom it waits for, where that is traced.
    pub(crate) fn leader(&self) -> Option<Arc<Trail>> {
        lock(&self.flight.as_ref()?.flight.0).trail.clone()
    }

    /// Whether it waits for a body that runs in this process and belongs to no caller.
    pub(crate) fn awaits_detached_body(&self) -> bool {
        let flight = self.flight.as_ref();
        flight.is_some_and(|flight| lock(&flight.flight.0).computes_detached)
    }
}

impl Future for Follower {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Turn> {
        let ticket = self.ticket;
        let Some(flight) = &self.flight else {
            return Poll::Pending;
        };
        let waker = context.waker().clone();
        let mut state = lock(&flight.flight.0);
        let leads = state.successor == Some(ticket);
        let Some(slot) = state.followers.get_mut(&ticket) else {
            return Poll::Pending;
        };
        let outcome = slot.outcome.take();
        if outcome.is_none() && !leads {
            let old = slot.waker.replace(waker);
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        state.successor.take_if(|_| leads);
        let slot = state.followers.remove(&ticket);
        let failures = state.failures;
        drop(state);
        self.waited_in_vain = slot.map_or(0, |slot| failures.wrapping_sub(slot.failures));
        match (outcome, self.flight.take()) {
            (Some(outcome), _) => Poll::Ready(Turn::Served(outcome)),
            (None, Some(flight)) => Poll::Ready(Turn::Lead(Leader::new(flight))),
            (None, None) => Poll::Pending,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        let (slot, succeeded) = {
            let mut state = lock(&flight.flight.0);
            let slot = state.followers.remove(&self.ticket);
            let succeeded = state.successor.take_if(|ticket| *ticket == self.ticket);
            (slot, succeeded)
        };
        drop(slot);
        if succeeded.is_some() {
            flight.end_lead(None, false);
        }
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights")
            .field("under_way", &lock(&self.0).len())
            .finish()
    }
}
