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
            let mut slot = lock(&self.slot);
            if std::mem::take(&mut slot.woken) {
                return Poll::Ready(());
            }
            slot.waker = Some(context.waker().clone());
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
