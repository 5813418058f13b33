//! Single-flight: of all callers of one key in this process one leads, the others follow.

#[cfg(test)]
#[cfg(feature = "__shuttle")]
mod explore;

use std::collections::{BTreeMap, HashMap, hash_map};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::sync::{Mutex, lock};

type Digest = [u8; 16];

/// The flights under way, by the digest of their key.
///
/// Lock order: this map, then a flight's state. Nobody is woken under either.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<Digest, Arc<Flight>>>);

#[derive(Default)]
struct Flight(Mutex<State>);

#[derive(Default)]
struct State {
    /// What the leader landed: the bytes of an entry, for each follower to decode.
    landed: Option<Bytes>,
    /// The follower that a failed leader has named its successor, until it takes up the lead.
    successor: Option<u64>,
    /// Who follows, in the order of joining.
    followers: BTreeMap<u64, Option<Waker>>,
    next_ticket: u64,
}

/// What a caller is in a flight.
pub(crate) enum Role {
    Leader(Leader),
    Follower(Follower),
}

/// What a follower is given in the end.
pub(crate) enum Landing {
    Value(Bytes),
    /// The leader failed, and this follower takes its place.
    Lead(Leader),
}

impl Flights {
    /// Joins the flight of a key: leads it if nobody does.
    pub(crate) fn join(self: &Arc<Self>, digest: Digest) -> Role {
        match lock(&self.0).entry(digest) {
            hash_map::Entry::Vacant(vacant) => {
                let flight = Arc::clone(vacant.insert(Arc::default()));
                Role::Leader(Leader::of(FlightRef {
                    flights: Arc::clone(self),
                    digest,
                    flight,
                }))
            }
            hash_map::Entry::Occupied(occupied) => {
                let flight = Arc::clone(occupied.get());
                let ticket = lock(&flight.0).admit();
                let flight_ref = FlightRef {
                    flights: Arc::clone(self),
                    digest,
                    flight,
                };
                Role::Follower(Follower {
                    flight_ref: Some(flight_ref),
                    ticket,
                })
            }
        }
    }

    /// Leaves the flight under way to those who are in it: whoever joins from now on begins a new one.
    pub(crate) fn forget(&self, digest: &Digest) {
        lock(&self.0).remove(digest);
    }
}

impl State {
    fn admit(&mut self) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.followers.insert(ticket, None);
        ticket
    }
}

/// A place in a flight, with the way back to the map.
struct FlightRef {
    flights: Arc<Flights>,
    digest: Digest,
    flight: Arc<Flight>,
}

impl FlightRef {
    /// Ends the flight with a value: every follower wakes.
    fn land(&self, bytes: Bytes) {
        self.remove(&mut lock(&self.flights.0));
        let followers = {
            let mut state = lock(&self.flight.0);
            state.landed = Some(bytes);
            std::mem::take(&mut state.followers)
        };
        followers.into_values().flatten().for_each(Waker::wake);
    }

    /// Passes the lead to the follower that waited longest, or ends the flight if there is none.
    fn pass_on(&self) {
        let successor = {
            let mut flights = lock(&self.flights.0);
            let mut state = lock(&self.flight.0);
            match state.followers.pop_first() {
                Some((ticket, waker)) => {
                    state.successor = Some(ticket);
                    waker
                }
                None => {
                    self.remove(&mut flights);
                    None
                }
            }
        };
        if let Some(waker) = successor {
            waker.wake();
        }
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

/// The one who looks, locks and computes. Dropped without a value it has failed, be it by an error, a
/// panic or a dropped future: a follower takes over.
pub(crate) struct Leader {
    flight_ref: Option<FlightRef>,
    value: Option<Bytes>,
}

impl Leader {
    fn of(flight_ref: FlightRef) -> Self {
        Self {
            flight_ref: Some(flight_ref),
            value: None,
        }
    }

    /// From now on the flight lands this value when the leader is dropped, however that comes about.
    pub(crate) fn land_on_drop(&mut self, value: Bytes) {
        self.value = Some(value);
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if let Some(flight_ref) = self.flight_ref.take() {
            match self.value.take() {
                Some(value) => flight_ref.land(value),
                None => flight_ref.pass_on(),
            }
        }
    }
}

/// One who waits for the leader's value.
///
/// # Cancel safety
/// Dropped, it leaves the flight; if it was the successor, the next one is.
pub(crate) struct Follower {
    flight_ref: Option<FlightRef>,
    ticket: u64,
}

impl Future for Follower {
    type Output = Landing;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Landing> {
        let ticket = self.ticket;
        let Some(flight_ref) = &self.flight_ref else {
            return Poll::Pending;
        };
        let mut state = lock(&flight_ref.flight.0);
        if let Some(bytes) = state.landed.clone() {
            drop(state);
            self.flight_ref = None;
            return Poll::Ready(Landing::Value(bytes));
        }
        if state.successor == Some(ticket) {
            state.successor = None;
            drop(state);
            return self.flight_ref.take().map_or(Poll::Pending, |flight_ref| {
                Poll::Ready(Landing::Lead(Leader::of(flight_ref)))
            });
        }
        state
            .followers
            .insert(ticket, Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let Some(flight_ref) = self.flight_ref.take() else {
            return;
        };
        let succeeds = {
            let mut state = lock(&flight_ref.flight.0);
            state.followers.remove(&self.ticket);
            state.successor == Some(self.ticket)
        };
        if succeeds {
            flight_ref.pass_on();
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
