use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use crate::lock::Caller;
use crate::sync::{Mutex, MutexGuard, lock};

/// How many keys the process may hold: the server's lock table is everybody's.
pub(crate) struct Permits {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_use: usize,
    queue: VecDeque<(Instant, oneshot::Sender<Permit>)>,
}

/// A place among the held keys, given back by dropping it.
pub(crate) struct Permit(Arc<Permits>);

/// After this a caller goes on although the process is full: the holders may be waiting for the likes of it,
/// which they have spawned.
const PATIENCE: Duration = Duration::from_secs(1);

impl Permits {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// A place, if there is one and nobody queues for it. A nested caller gets one at once: its outer call
    /// holds one, and waits for it.
    pub(crate) fn try_acquire(self: &Arc<Self>, caller: Caller) -> Option<Permit> {
        let mut state = self.state();
        (caller == Caller::Nested || (state.in_use < self.most && state.queue.is_empty()))
            .then(|| self.take(&mut state))
    }

    /// Queues for a place.
    pub(crate) fn queue(self: &Arc<Self>) -> oneshot::Receiver<Permit> {
        let (sender, receiver) = oneshot::channel();
        self.state().queue.push_back((Instant::now(), sender));
        // One may have become free since the caller looked.
        self.admit(|state, most| state.in_use < most);
        receiver
    }

    fn take(self: &Arc<Self>, state: &mut State) -> Permit {
        state.in_use += 1;
        Permit(Arc::clone(self))
    }

    /// Lets those go on who have queued for too long, or `all`.
    pub(crate) fn release_overdue(self: &Arc<Self>, all: bool) {
        self.admit(|state, _| {
            all || state
                .queue
                .front()
                .is_some_and(|(since, _)| since.elapsed() >= PATIENCE)
        });
    }

    /// When [`release_overdue`](Self::release_overdue) has something to do.
    pub(crate) fn overdue(&self) -> Option<Instant> {
        self.state()
            .queue
            .front()
            .map(|(since, _)| *since + PATIENCE)
    }

    /// Admits from the head of the queue for as long as `admits` says so.
    fn admit(self: &Arc<Self>, admits: impl Fn(&State, usize) -> bool) {
        loop {
            let mut state = self.state();
            if state.queue.is_empty() || !admits(&state, self.most) {
                return;
            }
            let Some((_, sender)) = state.queue.pop_front() else {
                return;
            };
            let permit = self.take(&mut state);
            drop(state);
            // If nobody waits any more, the permit is dropped here and admits the next.
            drop(sender.send(permit));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.state().in_use -= 1;
        self.0.admit(|state, most| state.in_use < most);
    }
}
