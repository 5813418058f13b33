//! Futures of ours on a thread that blocks for them.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Drives a future on this thread, parking between its wake-ups. Needs no async runtime and does not mind being inside
/// one. While it waits for another lead on a thread of a tokio runtime that has several, the runtime's other work is
/// handed over to another thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    // A thread that ends has no waker any more: its last calls make one.
    let waker = WAKER.try_with(Waker::clone).unwrap_or_else(|_| unpark());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        let polled = {
            let _blocking = Blocking::set(Some(Wait::Brief));
            let polled = future.as_mut().poll(&mut context);
            (polled, BLOCKING.get())
        };
        match polled {
            (Poll::Ready(output), _) => return output,
            (Poll::Pending, Some(Wait::ForLead)) => hand_over::park(),
            // A stray unpark only polls once more.
            (Poll::Pending, _) => thread::park(),
        }
    }
}

/// What a future of ours waits for on a thread that blocks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// A server's answer, which comes soon.
    Brief,
    /// The end of another lead, which may need this very thread.
    ForLead,
    /// What comes soon, for one of several futures that it drives at the same time.
    OneOfSeveral,
}

thread_local! {
    static WAKER: Waker = unpark();
    static BLOCKING: Cell<Option<Wait>> = const { Cell::new(None) };
}

/// Whether the running code is a future of ours on a thread that waits for it anyway.
pub(crate) fn is_blocking() -> bool {
    BLOCKING.get().is_some()
}

/// Whether that thread has nothing else to drive meanwhile: then the waiting may as well be done inside of the poll.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) fn may_serve() -> bool {
    !matches!(BLOCKING.get(), None | Some(Wait::OneOfSeveral))
}

/// Polls one of several futures that a thread drives at the same time, if it blocks for them at all.
pub(crate) fn poll_one_of_several<R>(poll: impl FnOnce() -> R) -> R {
    let one = BLOCKING.get().map(|_| Wait::OneOfSeveral);
    let _blocking = Blocking::set(one);
    poll()
}

/// The running future waits for another lead.
pub(crate) fn waits_for_lead() {
    BLOCKING.set(Some(Wait::ForLead));
}

/// Whether a thread that blocks here for another lead can hand its runtime's other work over.
pub(crate) use hand_over::is_possible as can_hand_over;

/// Says so for as long as it lives, or that it is not so (`None`): in a body, which may poll other futures.
pub(crate) struct Blocking(Option<Wait>);

impl Blocking {
    pub(crate) fn set(wait: Option<Wait>) -> Self {
        Self(BLOCKING.replace(wait))
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        BLOCKING.set(self.0);
    }
}

/// Wakes this thread.
fn unpark() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// By tokio's `block_in_place`. It panics under a `LocalSet`, which nothing tells of: so a panic is caught once, and
/// remembered for the thread. Where panics abort it is not tried.
#[cfg(all(feature = "tokio", panic = "unwind"))]
mod hand_over {
    use std::cell::Cell;
    use std::panic::catch_unwind;
    use std::thread;

    use tokio::runtime::{Handle, RuntimeFlavor};
    use tokio::task::{block_in_place, try_id};

    thread_local! {
        static REFUSED: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn is_possible() -> bool {
        !REFUSED.get()
            && try_id().is_some()
            && Handle::try_current()
                .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
    }

    pub(super) fn park() {
        if !is_possible() {
            return thread::park();
        }
        // Whether it worked is known before anything is waited for: `park` itself does not panic.
        if catch_unwind(|| block_in_place(thread::park)).is_err() {
            REFUSED.set(true);
        }
    }
}

#[cfg(not(all(feature = "tokio", panic = "unwind")))]
mod hand_over {
    pub(crate) fn is_possible() -> bool {
        false
    }

    pub(super) fn park() {
        std::thread::park();
    }
}
