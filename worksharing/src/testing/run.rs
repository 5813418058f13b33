//! Drives futures so that one that hangs is a failure, and one that is dropped on its way is tried at each step.

use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::Key;

/// What takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// A key that no other run has.
pub(super) fn unique(name: &str) -> Key {
    let random = RandomState::new().hash_one(name);
    Key::new(format!("conformance {random:016x} {name}"))
}

/// The output of the future, which must come in time.
#[track_caller]
pub(super) fn run<F: Future>(future: F) -> F::Output {
    run_for(usize::MAX, future).unwrap_or_else(|| unreachable!("it is polled until it ends"))
}

/// The output of the future if it ends within so many polls, each after a wake-up; else it is dropped.
#[track_caller]
pub(crate) fn run_for<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let woken = Arc::new(Woken(AtomicBool::new(false), thread::current()));
    let waker = Waker::from(Arc::clone(&woken));
    let begun = Instant::now();
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        while !woken.0.swap(false, Ordering::SeqCst) {
            assert!(begun.elapsed() < PATIENCE, "a future hangs");
            thread::park_timeout(Duration::from_millis(100));
        }
    }
    None
}

/// Whether a future is not done at its first poll. It is dropped.
pub(super) fn is_pending<F: Future>(future: F) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    pin!(future).poll(&mut context).is_pending()
}

/// Begins a future and drops it after no poll, after one, after two, …, until it ends, and then runs `afterwards`.
#[track_caller]
pub(super) fn dropped_at_each_poll<F: Future>(
    mut begin: impl FnMut() -> F,
    mut afterwards: impl FnMut(),
) {
    for polls in 0..1_000 {
        let ended = run_for(polls, begin()).is_some();
        afterwards();
        if ended {
            return;
        }
    }
    panic!("a future does not end in a thousand polls");
}

#[track_caller]
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it never happens: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

struct Woken(AtomicBool, Thread);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
        self.1.unpark();
    }
}
