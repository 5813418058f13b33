//! Leads that are suspended: futures that lead a flight or hold a lock, and wait to be polled.
//!
//! A thread or task that holds one must not block until another lead ends: it may be the only one that can poll what
//! it would be waiting for, or one of several such that wait for each other in a circle. So suspended leads are
//! counted by the thread and the task that polled them last, and whoever would block asks here first.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use crate::blocking;

thread_local! {
    static OF_THREAD: Arc<AtomicUsize> = Arc::default();
}

/// Where a lead was suspended. Dropped when it is polled again, or is gone.
struct Suspended {
    _of_thread: OnThread,
    _of_task: task::Counted,
}

impl Suspended {
    fn here() -> Self {
        Self {
            _of_thread: OnThread::here(),
            _of_task: task::Counted::new(),
        }
    }
}

/// One that this thread may be needed for.
struct OnThread(Arc<AtomicUsize>);

impl OnThread {
    fn here() -> Self {
        let of_thread = OF_THREAD.with(Arc::clone);
        of_thread.fetch_add(1, Ordering::Relaxed);
        Self(of_thread)
    }
}

impl Drop for OnThread {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A task that is to lead, and that this thread may have to poll first.
pub(super) fn unpolled<F: Future>(task: F) -> impl Future<Output = F::Output> {
    let on_thread = OnThread::here();
    async move {
        drop(on_thread);
        task.await
    }
}

/// Runs a part of a lead, and counts it as suspended whenever it is not being polled.
pub(crate) async fn counted<F: Future>(mut lead: Pin<&mut F>) -> F::Output {
    let mut suspended = None;
    poll_fn(move |context: &mut Context<'_>| {
        drop(suspended.take());
        let polled = lead.as_mut().poll(context);
        // A thread that blocks on it polls nothing else meanwhile.
        if polled.is_pending() && !blocking::is_blocking() {
            suspended = Some(Suspended::here());
        }
        polled
    })
    .await
}

/// Waits for the end of another lead; `None` where this thread must not, because that end may need it.
pub(crate) async fn wait<F: Future>(mut other: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(move |context| {
        let polled = other.as_mut().poll(context);
        if polled.is_pending() && blocking::is_blocking() {
            if !may_block() {
                return Poll::Ready(None);
            }
            blocking::waits_for_lead();
        }
        polled.map(Some)
    })
    .await
}

/// Whether this thread may block until another lead ends.
pub(crate) fn may_block() -> bool {
    let on_this_thread = || OF_THREAD.with(|leads| leads.load(Ordering::Relaxed) > 0);
    !task::holds_one() && (blocking::can_hand_over() || !on_this_thread())
}

/// Tasks are tokio's: no other runtime tells which one is running.
#[cfg(feature = "tokio")]
mod task {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};

    use tokio::task::{Id, try_id};

    use crate::sync::{Mutex, MutexGuard, lock};

    /// A task for each of its suspended leads: in many small lists, so that few tasks meet in one.
    static OF_TASKS: std::sync::LazyLock<[Mutex<Vec<Id>>; 64]> =
        std::sync::LazyLock::new(|| std::array::from_fn(|_| Mutex::default()));

    fn tasks(task: Id) -> MutexGuard<'static, Vec<Id>> {
        let mut hasher = DefaultHasher::new();
        task.hash(&mut hasher);
        lock(&OF_TASKS[(hasher.finish() % 64) as usize])
    }

    pub(super) struct Counted(Option<Id>);

    impl Counted {
        pub(super) fn new() -> Self {
            let task = try_id();
            if let Some(task) = task {
                tasks(task).push(task);
            }
            Self(task)
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            let Some(task) = self.0 else { return };
            let mut tasks = tasks(task);
            if let Some(place) = tasks.iter().position(|other| *other == task) {
                tasks.swap_remove(place);
            }
        }
    }

    pub(super) fn holds_one() -> bool {
        try_id().is_some_and(|task| tasks(task).contains(&task))
    }
}

#[cfg(not(feature = "tokio"))]
mod task {
    pub(super) struct Counted;

    impl Counted {
        pub(super) fn new() -> Self {
            Self
        }
    }

    pub(super) fn holds_one() -> bool {
        false
    }
}
