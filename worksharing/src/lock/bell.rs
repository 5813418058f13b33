use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::sync::{Mutex, lock};

/// Wakes those of this process who listen for a key. A ring is kept until it is heard.
#[derive(Clone, Default)]
pub(super) struct Bell(Arc<Mutex<Ears>>);

type Digest = [u8; 16];

#[derive(Default)]
struct Ears {
    next: u64,
    listening: BTreeMap<(Digest, u64), Arc<Mutex<Ear>>>,
}

#[derive(Default)]
struct Ear {
    rung: bool,
    waker: Option<Waker>,
}

/// Hears each ring for its key from the moment it was made until it is dropped.
pub(super) struct Listener {
    bell: Bell,
    id: (Digest, u64),
    ear: Arc<Mutex<Ear>>,
}

impl Bell {
    pub(super) fn listen(&self, digest: Digest) -> Listener {
        let mut ears = lock(&self.0);
        let id = (digest, ears.next);
        ears.next += 1;
        let ear = Arc::default();
        ears.listening.insert(id, Arc::clone(&ear));
        Listener {
            bell: self.clone(),
            id,
            ear,
        }
    }

    /// All who listen for the key hear it: the first who tries gets the lock, and the others find a
    /// value or wait again. To wake but one would lose the ring if that one goes away.
    pub(super) fn ring(&self, digest: &Digest) {
        let range = (*digest, 0)..=(*digest, u64::MAX);
        let ears: Vec<_> = lock(&self.0)
            .listening
            .range(range)
            .map(|(_, ear)| Arc::clone(ear))
            .collect();
        for ear in ears {
            let waker = {
                let mut ear = lock(&ear);
                ear.rung = true;
                ear.waker.take()
            };
            waker.into_iter().for_each(Waker::wake);
        }
    }

    /// The keys that somebody listens for.
    pub(super) fn keys(&self) -> Vec<Digest> {
        let mut keys: Vec<_> = lock(&self.0)
            .listening
            .keys()
            .map(|(digest, _)| *digest)
            .collect();
        keys.dedup();
        keys
    }
}

impl Listener {
    /// Until the bell was rung since this was last called.
    pub(super) async fn heard(&mut self) {
        poll_fn(|context| {
            let mut ear = lock(&self.ear);
            if std::mem::take(&mut ear.rung) {
                return Poll::Ready(());
            }
            ear.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.bell.0).listening.remove(&self.id);
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
    }
}
