//! The process's one background thread: timers, and futures of ours that nobody awaits.
//!
//! It begins with the first timer, sleeps until the next is due, and ends when there has been none for a while. A timer
//! is made and dropped in a fraction of a microsecond, however many there are; the thread is woken only for one that
//! comes before all others.

mod schedule;
mod sleep;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use self::schedule::{Key, Next, Schedule};
pub(crate) use self::sleep::until;
use crate::events::RateLimited;
use crate::per_process::PerProcess;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A fork takes no threads along, and has no right to what its parent has to do.
static BACKGROUND: PerProcess<Background> = PerProcess::new();

#[derive(Default)]
struct Background {
    state: Mutex<State>,
    changed: Condvar,
    said: RateLimited,
}

#[derive(Default)]
struct State {
    schedule: Schedule,
    /// The thread runs.
    runs: bool,
}

/// An action that is to come. Dropped, it does not come; [`forget`](std::mem::forget) it to let it.
#[must_use = "dropped, it does not come"]
pub(crate) struct Timer {
    background: &'static Background,
    key: Key,
}

/// Runs this in a while, on the background thread. It must not block.
pub(crate) fn after(time: Duration, action: impl FnOnce() + Send + 'static) {
    std::mem::forget(timer(time, action));
}

/// [`after`], unless what is returned is dropped before.
pub(crate) fn timer(time: Duration, action: impl FnOnce() + Send + 'static) -> Timer {
    own().timer(time, action)
}

fn own() -> &'static Background {
    BACKGROUND.get(Background::default)
}

impl Drop for Timer {
    fn drop(&mut self) {
        let state = self.background.state_unless_inherited();
        let action = state.map(|mut state| state.schedule.remove(self.key));
        // Outside of the lock: it may hold anything.
        drop(action);
    }
}

/// Drives a future of ours from wake-up to wake-up, on the background thread. It must not block.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    let task: Task = Box::pin(task);
    Arc::new(Spawned {
        background: own(),
        task: Mutex::new(Some(task)),
        is_queued: AtomicBool::new(false),
    })
    .wake();
}

struct Spawned {
    background: &'static Background,
    /// Locked while it is polled. `None` when it has ended.
    task: Mutex<Option<Task>>,
    /// It is going to be polled.
    is_queued: AtomicBool,
}

impl Wake for Spawned {
    fn wake(self: Arc<Self>) {
        // Polled on the background thread: a waker may be called under somebody's lock.
        let background = self.background;
        if BACKGROUND.is_own(background) && !self.is_queued.swap(true, Ordering::SeqCst) {
            std::mem::forget(background.timer(Duration::ZERO, move || self.poll()));
        }
    }
}

impl Spawned {
    fn poll(self: Arc<Self>) {
        // Before it is polled: whoever wakes it from now on may have come too late for this poll.
        self.is_queued.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self));
        let mut slot = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        // Where it panics, it is dropped.
        let Some(mut task) = slot.take() else {
            return;
        };
        let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_pending() {
            *slot = Some(task);
        }
    }
}

/// As good as never, and not beyond what a clock can show.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl Background {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless a forked child has inherited it locked. One that is free is not in the middle of anything: that
    /// spares asking the system, which takes as long as the rest.
    fn state_unless_inherited(&self) -> Option<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(state)) => Some(state.into_inner()),
            Err(TryLockError::WouldBlock) => BACKGROUND.is_own(self).then(|| self.state()),
        }
    }

    fn timer(&'static self, time: Duration, action: impl FnOnce() + Send + 'static) -> Timer {
        let (background, due) = (self, Instant::now() + time.min(FAR));
        // Shuttle's threads are not ours, and its time stands still.
        if cfg!(feature = "__shuttle") {
            drop(action);
            let key = (due, u64::MAX);
            return Timer { background, key };
        }
        // Boxed before anybody is kept waiting.
        let action = Box::new(action);
        let mut state = self.state();
        let (key, must_wake) = state.schedule.insert(due, action);
        let started = self.ensure_it_runs(&mut state);
        drop(state);
        if must_wake {
            self.changed.notify_one();
        }
        if let Err(error) = started {
            // The next timer tries again. What is due late is only less well looked after.
            self.said.say(|kept_back| {
                tracing::warn!(%error, kept_back, "no thread for timers can be started");
            });
        }
        Timer { background, key }
    }

    fn ensure_it_runs(&'static self, state: &mut State) -> io::Result<()> {
        if !state.runs {
            let thread = thread::Builder::new().name("worksharing timers".into());
            thread.spawn(|| self.run())?;
            state.runs = true;
        }
        Ok(())
    }

    fn run(&self) {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            match state.schedule.next(now) {
                Next::Run(action) => {
                    drop(state);
                    // A defect of ours must not end the timers of everybody.
                    drop(catch_unwind(AssertUnwindSafe(action)));
                    state = self.state();
                }
                Next::Sleep(until) => {
                    let waited = self.changed.wait_timeout(state, until - now);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                Next::End => {
                    state.runs = false;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
