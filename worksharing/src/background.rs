//! The process's one background thread: timers, and futures of ours that nobody awaits.
//!
//! It begins with the first timer, sleeps until the next is due, and ends when there has been none for a while.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

type Action = Box<dyn FnOnce() + Send>;
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long the thread stays without anything to do.
const LINGER: Duration = Duration::from_secs(10);

static BACKGROUND: Background = Background {
    state: Mutex::new(State {
        timers: BTreeMap::new(),
        next_timer: 0,
        process: 0,
        wakes_at: None,
    }),
    changed: Condvar::new(),
};

struct Background {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    timers: BTreeMap<(Instant, u64), Action>,
    next_timer: u64,
    /// The process that the thread runs in, or 0 if there is none: a fork takes no threads along.
    process: u32,
    /// Until when the thread sleeps.
    wakes_at: Option<Instant>,
}

/// An action that is to come. Dropped, it does not come; [`forget`](std::mem::forget) it to let it.
#[must_use = "dropped, it does not come"]
pub(crate) struct Timer((Instant, u64));

/// Runs this in a while, on the background thread. It must not block.
pub(crate) fn after(time: Duration, action: impl FnOnce() + Send + 'static) {
    std::mem::forget(timer(time, action));
}

/// [`after`], unless what is returned is dropped before.
pub(crate) fn timer(time: Duration, action: impl FnOnce() + Send + 'static) -> Timer {
    let due = Instant::now() + time;
    // Shuttle's threads are not ours, and its time stands still.
    if cfg!(feature = "__shuttle") {
        drop(action);
        return Timer((due, u64::MAX));
    }
    // Boxed, and the system asked, before anybody is kept waiting.
    let (process, action) = (std::process::id(), Box::new(action));
    let mut state = BACKGROUND.state();
    state.run(process);
    let key = (due, state.next_timer);
    state.next_timer += 1;
    state.timers.insert(key, action);
    if state.wakes_at.is_none_or(|wakes_at| due < wakes_at) {
        state.wakes_at = Some(due);
        BACKGROUND.changed.notify_one();
    }
    Timer(key)
}

impl Drop for Timer {
    fn drop(&mut self) {
        let action = BACKGROUND.state().timers.remove(&self.0);
        // Outside of the lock: it may hold anything.
        drop(action);
    }
}

/// Drives a future of ours from wake-up to wake-up on whatever thread wakes it. It must not block.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    Arc::new(Spawned(Mutex::new(Some(Box::pin(task))))).wake();
}

struct Spawned(Mutex<Option<Task>>);

impl Wake for Spawned {
    fn wake(self: Arc<Self>) {
        // Polled on the background thread: a waker may be called under somebody's lock.
        after(Duration::ZERO, move || self.poll());
    }
}

impl Spawned {
    fn poll(self: Arc<Self>) {
        let mut task = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waker = Waker::from(Arc::clone(&self));
        let polled = task
            .as_mut()
            .map(|task| task.as_mut().poll(&mut Context::from_waker(&waker)));
        if matches!(polled, Some(Poll::Ready(()))) {
            *task = None;
        }
    }
}

impl Background {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        loop {
            let mut state = self.state();
            let now = Instant::now();
            let due = state
                .timers
                .first_entry()
                .filter(|entry| entry.key().0 <= now);
            if let Some(due) = due {
                let action = due.remove();
                drop(state);
                // A defect of ours must not end the timers of everybody.
                let run = std::panic::AssertUnwindSafe(action);
                drop(std::panic::catch_unwind(run));
                continue;
            }
            let next = state.timers.keys().next().map(|key| key.0);
            let wakes_at = next.unwrap_or(now + LINGER);
            state.wakes_at = Some(wakes_at);
            let waited = self.changed.wait_timeout(state, wakes_at - now);
            let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            if next.is_none() && waited.timed_out() && state.timers.is_empty() {
                state.process = 0;
                state.wakes_at = None;
                return;
            }
        }
    }
}

impl State {
    /// Sees to it that the thread runs, in this process.
    fn run(&mut self, process: u32) {
        if self.process == process {
            return;
        }
        self.wakes_at = None;
        if self.process != 0 {
            // We are a fork: those timers are the parent's, and what they hold may be in the middle of something.
            std::mem::forget(std::mem::take(&mut self.timers));
        }
        let thread = thread::Builder::new().name("worksharing timers".into());
        match thread.spawn(|| BACKGROUND.run()) {
            Ok(_) => self.process = process,
            // The next timer tries again. What is due late is only less well looked after.
            Err(error) => tracing::warn!(%error, "no thread for timers can be started"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn timers_come_in_order_and_dropped_ones_do_not_come() {
        let (sender, receiver) = channel();
        for (name, time) in [("late", 60), ("soon", 20)] {
            let sender = sender.clone();
            after(Duration::from_millis(time), move || {
                sender.send(name).unwrap_or_default()
            });
        }
        let never = sender.clone();
        drop(timer(Duration::from_millis(1), move || {
            never.send("never").unwrap_or_default();
        }));
        drop(sender);
        assert_eq!(receiver.iter().collect::<Vec<_>>(), ["soon", "late"]);
    }

    #[test]
    fn a_panic_ends_nobody_elses_timers() {
        let (sender, receiver) = channel();
        after(Duration::ZERO, || std::panic::resume_unwind(Box::new(())));
        after(Duration::from_millis(1), move || {
            sender.send(()).unwrap_or_default()
        });
        receiver.recv().unwrap();
    }

    #[test]
    fn a_spawned_future_is_driven_to_its_end() {
        let (sender, receiver) = channel();
        let (go, gone) = futures_channel::oneshot::channel::<()>();
        spawn(async move {
            gone.await.unwrap();
            sender.send(()).unwrap();
        });
        go.send(()).unwrap();
        receiver.recv().unwrap();
    }
}
