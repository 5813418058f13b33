use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use ::postgres::Client;

use super::InterruptibleClient;
use crate::backend::link::Interrupt;
use crate::sync::{Mutex, lock};

/// Ends whatever is waited for on a socket, for good.
#[derive(Default)]
pub(crate) struct Stop {
    stopped: AtomicBool,
    /// How often something was sent or received.
    moved: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

impl Interrupt for Stop {
    fn interrupt(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        let waker = lock(&self.waker).take();
        waker.into_iter().for_each(Waker::wake);
    }

    fn progress(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}

impl Stop {
    pub(crate) fn client(self: Arc<Self>, client: Client) -> InterruptibleClient {
        InterruptibleClient { client, stop: self }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Polls, unless there is an interrupt, and has it polled again when there is.
    pub(super) fn poll<T, E: From<io::Error>>(
        &self,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<Result<T, E>>,
    ) -> Poll<Result<T, E>> {
        if !self.is_stopped() {
            let polled = poll(context);
            if polled.is_ready() {
                self.moved.fetch_add(1, Ordering::Relaxed);
                return polled;
            }
            self.wake_later(context.waker());
        }
        // An interrupt that came before the waker was there has woken nobody.
        if self.is_stopped() {
            let error = io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
            return Poll::Ready(Err(error.into()));
        }
        Poll::Pending
    }

    fn wake_later(&self, waker: &Waker) {
        let mut stored = lock(&self.waker);
        match &mut *stored {
            Some(stored) => stored.clone_from(waker),
            None => *stored = Some(waker.clone()),
        }
    }
}
