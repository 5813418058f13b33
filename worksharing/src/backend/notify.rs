use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::sync::{Mutex, lock};

/// Wakes those of this process who listen for a key. A ring is kept until it is heard.
#[derive(Clone, Default)]
pub(crate) struct Notify(Arc<Mutex<Waiters>>);

type Digest = [u8; 16];

#[derive(Default)]
struct Waiters {
    next: u64,
    slots: BTreeMap<(Digest, u64), Arc<Mutex<Slot>>>,
}

#[derive(Default)]
struct Slot {
    woken: bool,
    waker: Option<Waker>,
}

/// Hears each ring for its key from the moment it was made until it is dropped.
pub(crate) struct Subscription {
    notify: Notify,
    id: (Digest, u64),
    slot: Arc<Mutex<Slot>>,
}

impl Notify {
    pub(crate) fn subscribe(&self, digest: Digest) -> Subscription {
        let mut waiters = lock(&self.0);
        let id = (digest, waiters.next);
        waiters.next += 1;
        let slot = Arc::default();
        waiters.slots.insert(id, Arc::clone(&slot));
        Subscription {
            notify: self.clone(),
            id,
            slot,
        }
    }

    /// All who listen for the key hear it: the first who tries gets the lock, and the others find a
    /// value or wait again. To wake but one would lose the ring if that one goes away.
    pub(crate) fn wake(&self, digest: &Digest) {
        let range = (*digest, 0)..=(*digest, u64::MAX);
        let waiters: Vec<_> = lock(&self.0)
            .slots
            .range(range)
            .map(|(_, slot)| Arc::clone(slot))
            .collect();
        for slot in waiters {
            let waker = {
                let mut slot = lock(&slot);
                slot.woken = true;
                slot.waker.take()
            };
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// The keys that somebody listens for.
    pub(crate) fn keys(&self) -> Vec<Digest> {
        let mut keys: Vec<_> = lock(&self.0)
            .slots
            .keys()
            .map(|(digest, _)| *digest)
            .collect();
        keys.dedup();
        keys
    }
}

impl Subscription {
    /// Until the key was woken since this was last called.
    pub(crate) async fn notified(&mut self) {
        poll_fn(|context| {
            // A waker's own code, as of its `clone` and `drop`, is not run under our lock.
            let waker = Some(context.waker().clone());
            let mut slot = lock(&self.slot);
            if std::mem::take(&mut slot.woken) {
                return Poll::Ready(());
            }
            let old = std::mem::replace(&mut slot.waker, waker);
            drop(slot);
            drop(old);
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        lock(&self.notify.0).slots.remove(&self.id);
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notify")
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc::channel;
    use std::task::{Context, Wake};
    use std::thread;
    use std::time::Duration;

    use super::*;

    const KEY: Digest = [7; 16];

    /// A waker with which the last task of a runtime goes, and much of a program with it.
    struct WakesWhenDropped(Notify);

    impl Wake for WakesWhenDropped {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for WakesWhenDropped {
        fn drop(&mut self) {
            self.0.wake(&KEY);
        }
    }

    #[test]
    fn wakers_are_dropped_outside_of_locks() {
        let (sender, done) = channel();
        thread::spawn(move || {
            let notify = Notify::default();
            let mut subscription = notify.subscribe(KEY);
            let mut notified = pin!(subscription.notified());
            for _ in 0..2 {
                let waker = Arc::new(WakesWhenDropped(notify.clone())).into();
                let polled = notified.as_mut().poll(&mut Context::from_waker(&waker));
                assert!(polled.is_pending());
            }
            sender.send(())
        });
        done.recv_timeout(Duration::from_secs(20))
            .expect("a deadlock");
    }
}
