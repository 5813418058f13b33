use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::Timer;
use crate::sync::{Mutex, lock};

/// Drives a future until then; `None` if it is not over by that time.
pub(crate) async fn until<F: Future>(
    mut other: Pin<&mut F>,
    deadline: Option<Instant>,
) -> Option<F::Output> {
    let mut limit = None;
    poll_fn(move |context: &mut Context<'_>| {
        if let Poll::Ready(output) = other.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        let limit = limit.get_or_insert_with(|| Sleep::until(deadline));
        Pin::new(limit).poll(context).map(|()| None)
    })
    .await
}

/// Until a time has come. It costs a timer once it is polled.
struct Sleep {
    until: Instant,
    slot: Arc<Mutex<Option<Waker>>>,
    timer: Option<Timer>,
}

impl Sleep {
    fn until(until: Instant) -> Self {
        Self {
            until,
            slot: Arc::default(),
            timer: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        // A waker's own code, as of its `clone` and `drop`, is not run under our lock.
        let waker = Some(context.waker().clone());
        let old = std::mem::replace(&mut *lock(&self.slot), waker);
        drop(old);
        if self.timer.is_none() {
            let slot = Arc::clone(&self.slot);
            self.timer = Some(super::timer(left, move || {
                let waker = lock(&slot).take();
                waker.into_iter().for_each(Waker::wake);
            }));
        }
        Poll::Pending
    }
}
