//! Which keys are being computed by whoever runs on this thread right now.
//!
//! A body that asks for its own key would wait for itself. So every poll of a body is framed by its key:
//! what is on the stack is what the running code is inside of, on any async runtime or none.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::call::Call;
use crate::blocking::Blocking;
use crate::lock::Caller;

/// What the runtime's lock excludes on, and a key's digest.
pub(crate) type Id = (u64, [u8; 16]);

// Shuttle's threads share one of the system's.
#[cfg(feature = "__shuttle")]
use shuttle::thread_local;

thread_local! {
    static STACK: RefCell<Vec<Id>> = RefCell::default();
}

/// Whether the running code is inside the computation of this key.
pub(crate) fn contains(id: &Id) -> bool {
    STACK.with(|stack| stack.borrow().contains(id))
}

/// Whether the running code is inside any computation, as a lock is told.
pub(crate) fn caller() -> Caller {
    if STACK.with(|stack| stack.borrow().is_empty()) {
        Caller::Outermost
    } else {
        Caller::Nested
    }
}

/// Runs a body inside its key's frame, and inside of its call's span.
pub(crate) async fn within<F: Future>(call: &Call, body: F) -> F::Output {
    let mut body = pin!(body);
    poll_fn(move |context| {
        let frames = (Frame::enter(call.id()), call.track.enter());
        poll_body(frames, body.as_mut(), context)
    })
    .await
}

/// Polls a body inside of frames that were entered for it.
fn poll_body<F: Future>(
    _frames: impl Sized,
    body: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Poll<F::Output> {
    let _not_ours = Blocking::set(None);
    body.poll(context)
}

/// The keys that the running code is inside of, for code that goes on elsewhere on its behalf.
pub(super) struct Inherited(Vec<Id>);

impl Inherited {
    /// Those of one computation of several keys.
    pub(super) fn of(ids: impl IntoIterator<Item = Id>) -> Self {
        Self(ids.into_iter().collect())
    }

    /// Runs a body inside all of their frames.
    pub(super) async fn within<F: Future>(self, mut body: Pin<&mut F>) -> F::Output {
        poll_fn(move |context| poll_body(self.enter(), body.as_mut(), context)).await
    }

    pub(super) fn here() -> Self {
        Self(STACK.with(|stack| stack.borrow().clone()))
    }

    pub(super) fn enter(&self) -> InheritedFrames {
        STACK.with(|stack| stack.borrow_mut().extend(&self.0));
        InheritedFrames(self.0.len())
    }
}

/// Runs a future of ours inside of what the running code is inside of.
pub(super) fn inherited<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let inherited = Inherited::here();
    async move {
        let mut future = pin!(future);
        poll_fn(move |context| {
            let _frames = inherited.enter();
            future.as_mut().poll(context)
        })
        .await
    }
}

pub(super) struct InheritedFrames(usize);

impl Drop for InheritedFrames {
    fn drop(&mut self) {
        STACK.with(|stack| {
            let mut stack = stack.borrow_mut();
            let length = stack.len().saturating_sub(self.0);
            stack.truncate(length);
        });
    }
}

pub(super) struct Frame;

impl Frame {
    pub(super) fn enter(id: Id) -> Self {
        STACK.with(|stack| stack.borrow_mut().push(id));
        Self
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        STACK.with(|stack| stack.borrow_mut().pop());
    }
}
