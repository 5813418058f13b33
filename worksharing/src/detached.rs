//! Work that belongs to the runtime: how much of it there is at a time, where it runs, and how a program waits for its
//! end.

mod threads;

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;

use tracing::instrument::{Instrument as _, WithSubscriber as _};
use tracing::{Span, dispatcher};

use crate::BoxFuture;
use crate::background::until;
use crate::sync::{Mutex, lock};

/// What runs a task.
pub(crate) type Spawner = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

/// The detached work of a runtime.
pub(crate) struct Detached {
    state: Mutex<State>,
    most: usize,
    spawner: Option<Spawner>,
}

#[derive(Default)]
struct State {
    running: usize,
    /// Nothing more is begun.
    is_draining: bool,
    /// Of those who wait for the end.
    wakers: Vec<Waker>,
}

/// The right to run one piece of work detached.
pub(crate) struct Permit(Arc<Detached>);

impl Drop for Permit {
    fn drop(&mut self) {
        let wakers = {
            let mut state = lock(&self.0.state);
            state.running -= 1;
            let is_over = state.running == 0;
            if is_over {
                std::mem::take(&mut state.wakers)
            } else {
                Vec::new()
            }
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Detached {
    pub(crate) fn new(most: usize, spawner: Option<Spawner>) -> Self {
        Self {
            state: Mutex::default(),
            most,
            spawner,
        }
    }

    /// `None`: so much runs that no more is begun, or the program is about to end. The caller does it itself.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Permit> {
        let mut state = lock(&self.state);
        if state.is_draining || state.running >= self.most {
            return None;
        }
        state.running += 1;
        Some(Permit(Arc::clone(self)))
    }

    /// Begins nothing more, and waits for the end of what runs: how much still runs then.
    pub(crate) async fn drain(&self, deadline: Option<Instant>) -> usize {
        lock(&self.state).is_draining = true;
        let end = poll_fn(|context| {
            let waker = context.waker().clone();
            let mut state = lock(&self.state);
            if state.running == 0 {
                return Poll::Ready(());
            }
            if !state.wakers.iter().any(|known| known.will_wake(&waker)) {
                state.wakers.push(waker);
            }
            Poll::Pending
        });
        until(pin!(end), deadline).await;
        lock(&self.state).running
    }

    /// Runs a task: by the spawner, or on the caller's async runtime, or on a thread of its own. It keeps the caller's
    /// span and subscriber. If it cannot be run it is dropped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = task.in_current_span().with_current_subscriber();
        match &self.spawner {
            Some(spawner) => spawner(Box::pin(task)),
            None => executor::spawn(task),
        }
    }

    /// Runs a job on a thread that it has to itself, as a caller there would. If it cannot be run it is dropped.
    pub(crate) fn spawn_blocking(&self, job: impl FnOnce() + Send + 'static) {
        let (span, subscriber) = (Span::current(), dispatcher::get_default(Clone::clone));
        let job = move || dispatcher::with_default(&subscriber, || span.in_scope(job));
        thread(executor::entered(job));
    }
}

/// What cannot be run is dropped, and what it holds goes back to its caller.
fn thread(job: impl FnOnce() + Send + 'static) {
    if let Err(error) = threads::run(job) {
        tracing::warn!(%error, "no thread can be started: a computation stays with its caller");
    }
}

#[cfg(feature = "tokio")]
mod executor {
    use tokio::runtime::Handle;

    pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(task)),
            Err(_) => super::thread(|| crate::blocking::block_on(task)),
        }
    }

    /// The job as on the caller's runtime. Its own threads for blocking work may all be waiting for this very job.
    pub(super) fn entered(job: impl FnOnce() + Send + 'static) -> impl FnOnce() + Send + 'static {
        let runtime = Handle::try_current();
        move || {
            let _entered = runtime.as_ref().map(Handle::enter);
            job();
        }
    }
}

#[cfg(not(feature = "tokio"))]
mod executor {
    pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
        super::thread(|| crate::blocking::block_on(task));
    }

    pub(super) fn entered(job: impl FnOnce() + Send + 'static) -> impl FnOnce() + Send + 'static {
        job
    }
}

impl fmt::Debug for Detached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.state);
        f.debug_struct("Detached")
            .field("running", &state.running)
            .field("is_draining", &state.is_draining)
            .finish_non_exhaustive()
    }
}
