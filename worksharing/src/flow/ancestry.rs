//! Which keys are being computed by whoever runs on this thread right now.
//!
//! A body that asks for its own key would wait for itself. So every poll of a body is framed by its key:
//! what is on the stack is what the running code is inside of, on any async runtime or none.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;

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

/// Runs a body inside its key's frame.
pub(crate) async fn within<F: Future>(id: Id, body: F) -> F::Output {
    let mut body = pin!(body);
    poll_fn(move |context| {
        let _frame = Frame::enter(id);
        let _not_ours = Blocking::set(None);
        body.as_mut().poll(context)
    })
    .await
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
