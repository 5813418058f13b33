use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Drives a future on this thread, parking between its wake-ups. Needs no async runtime and does not
/// mind being inside one.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        let polled = {
            let _blocking = Blocking::set(true);
            future.as_mut().poll(&mut context)
        };
        match polled {
            Poll::Ready(output) => return output,
            // A stray unpark only polls once more.
            Poll::Pending => thread::park(),
        }
    }
}

thread_local! {
    static BLOCKING: Cell<bool> = const { Cell::new(false) };
}

/// Whether the running code is a future of ours on a thread that waits for it anyway, and may as well do the
/// waiting inside of the poll.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) fn may_block() -> bool {
    BLOCKING.get()
}

/// Says so for as long as it lives, or that it is not so: in a body, which may poll other futures.
pub(crate) struct Blocking(bool);

impl Blocking {
    pub(crate) fn set(may_block: bool) -> Self {
        Self(BLOCKING.replace(may_block))
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        BLOCKING.set(self.0);
    }
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
