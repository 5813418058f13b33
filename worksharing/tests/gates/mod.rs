//! A store and a lock that are gates: each operation stops before it takes effect, and again after. So futures are
//! driven step by step, and step `n` is the same in every run.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use worksharing::lock::{Caller, Local, Lock, LockGuard, Waiter};
use worksharing::store::{Fence, Look, Memory, Store, Stored};
use worksharing::{BoxFuture, Bytes, Error, Key};

/// More than any future here has steps.
pub(crate) const MANY: usize = 200;

/// Stops once: the next poll goes on.
pub(crate) async fn gate() {
    let mut passed = false;
    poll_fn(|context| {
        if std::mem::replace(&mut passed, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

pub(crate) async fn gated<T>(operation: impl Future<Output = T>) -> T {
    gate().await;
    let done = operation.await;
    gate().await;
    done
}

#[derive(Clone, Debug)]
pub(crate) struct GatedStore(pub(crate) Arc<Memory>);

impl Store for GatedStore {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        Box::pin(gated(async move { self.0.get(keys, look).await }))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(gated(
            async move { self.0.put(key, entry, ttl, fence).await },
        ))
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(gated(async move { self.0.replace(key, entry, ttl).await }))
    }

    fn keep<'a>(&'a self, keys: &'a [Key], ttl: Duration) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(gated(async move { self.0.keep(keys, ttl).await }))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct GatedLock(pub(crate) Arc<Local>);

impl Lock for GatedLock {
    fn try_lock<'a>(
        &'a self,
        key: &'a Key,
        caller: Caller,
    ) -> BoxFuture<'a, Result<Option<LockGuard>, Error>> {
        Box::pin(gated(async move { self.0.try_lock(key, caller).await }))
    }

    fn register_waiter<'a>(
        &'a self,
        key: &'a Key,
    ) -> BoxFuture<'a, Result<Box<dyn Waiter>, Error>> {
        Box::pin(gated(async { self.0.register_waiter(key).await }))
    }
}

pub(crate) fn step<F: Future + ?Sized>(future: &mut Pin<&mut F>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// What became of a step, where a body may panic.
pub(crate) fn careful_step<F: Future + ?Sized>(
    future: &mut Pin<&mut F>,
) -> Poll<Option<F::Output>> {
    match catch_unwind(AssertUnwindSafe(|| step(future))) {
        Ok(poll) => poll.map(Some),
        Err(_) => Poll::Ready(None),
    }
}

pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..MANY {
        if let Poll::Ready(output) = step(&mut future) {
            return output;
        }
    }
    panic!("a future is stuck")
}
