//! Detaches an async and a blocking computation without any async runtime: each runs on a thread of its own. Prints for
//! each what it returned, and where it ran.

use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use worksharing::WorkSharing;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

fn main() {
    let sharing = WorkSharing::in_memory();
    let later = sharing.work("later").detach().run(|| async { name() });
    println!("async on {:?}", block_on(later));
    let now = sharing.work("now").detach().run_blocking(name);
    println!("blocking on {now:?}");
    // What belongs to nobody goes on without its caller, who has left before the body may end.
    let (caller, until_it_leaves) = mpsc::channel::<()>();
    let body = || async move {
        let _ = until_it_leaves.recv();
        name()
    };
    let mut left = Box::pin(sharing.work("left").detach().run(body));
    let polled = left.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(left);
    drop(caller);
    let drained = block_on(sharing.drain(std::time::Duration::from_secs(20)));
    let stored = sharing.work::<String>("left").peek_blocking();
    println!("left {} on {stored:?}, {drained:?}", polled.is_pending());
}
