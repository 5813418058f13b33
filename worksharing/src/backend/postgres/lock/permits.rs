use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use crate::Error;
use crate::sync::{Mutex, MutexGuard, lock};

/// How many keys the process may hold: the server's lock table is everybody's.
pub(crate) struct Permits {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    in_use: usize,
    queue: VecDeque<Queued>,
}

struct Queued {
    since: Instant,
    sender: oneshot::Sender<Result<Permit, Error>>,
}

/// A place among the held keys, given back by dropping it.
pub(crate) struct Permit(Option<Arc<Permits>>);

/// After this a caller does without: the holders may be waiting for the likes of it, which they have spawned.
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

    /// A place, if there is one.
    pub(crate) fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.state();
        if state.in_use >= self.most {
            return None;
        }
        state.in_use += 1;
        Some(Permit(Some(Arc::clone(self))))
    }

    /// Queues for a place, until [`expire`](Self::expire) says that it takes too long.
    pub(crate) fn queue(self: &Arc<Self>) -> oneshot::Receiver<Result<Permit, Error>> {
        let (sender, receiver) = oneshot::channel();
        let since = Instant::now();
        self.state().queue.push_back(Queued { since, sender });
        // One may have become free since the caller looked.
        self.admit();
        receiver
    }

    /// Refuses those who have queued for too long, and says when the next one will have.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state();
        let overdue = state
            .queue
            .partition_point(|queued| queued.since + PATIENCE <= now);
        let overdue: Vec<_> = state.queue.drain(..overdue).collect();
        let next = state.queue.front().map(|queued| queued.since + PATIENCE);
        drop(state);
        for queued in overdue {
            drop(queued.sender.send(Err(self.full())));
        }
        next
    }

    /// Refuses all who queue.
    pub(crate) fn refuse(&self, error: &Error) {
        let queue = std::mem::take(&mut self.state().queue);
        for queued in queue {
            drop(queued.sender.send(Err(error.clone())));
        }
    }

    /// Why somebody gets no place.
    pub(crate) fn full(&self) -> Error {
        Error::unavailable(format!(
            "this process holds as many keys as Builder::max_held_keys allows ({}), and none was given back in time",
            self.most
        ))
    }

    /// Admits those who queue, for as long as there are places. Whoever has given up meanwhile is passed over.
    fn admit(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            if state.in_use >= self.most {
                return;
            }
            let Some(queued) = state.queue.pop_front() else {
                return;
            };
            state.in_use += 1;
            drop(state);
            let permit = Permit(Some(Arc::clone(self)));
            if let Err(Ok(mut refused)) = queued.sender.send(Ok(permit)) {
                // Not by dropping it, which would come back here: once for each who gave up.
                refused.0 = None;
                self.state().in_use -= 1;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(permits) = self.0.take() {
            permits.state().in_use -= 1;
            permits.admit();
        }
    }
}

#[cfg(test)]
mod tests;
