//! Each defect is found.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Clock as _, ManualClock};
use crate::lock::{Caller, Local, Lock, LockGuard, Waiter};
use crate::store::{Fence, Look, Memory, Store, Stored};
use crate::{BoxFuture, Error, Key};

fn is_found(defect: &str, conformance: impl FnOnce()) {
    let passed = catch_unwind(AssertUnwindSafe(conformance)).is_ok();
    assert!(!passed, "it passes with this defect: {defect}");
}

/// A store with a defect.
#[derive(Debug)]
struct Defective {
    memory: Memory,
    defect: &'static str,
}

impl Defective {
    fn has(&self, defect: &str) -> bool {
        self.defect == defect
    }
}

impl Store for Defective {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        let asked = if self.has("too much is read") {
            usize::MAX
        } else {
            look.max_bytes
        };
        let looked = self.memory.get(keys, Look::up_to(asked));
        Box::pin(async move {
            let mut found = looked.await?;
            if self.has("another order") {
                found.reverse();
            }
            for stored in found.iter_mut().flatten() {
                if self.has("no time is told") {
                    stored.time_left = None;
                } else if self.has("the time stands still") {
                    stored.time_left = Some(Duration::from_secs(2));
                } else if self.has("all is whole") {
                    stored.whole = true;
                } else if self.has("text only") {
                    stored.bytes = String::from_utf8_lossy(&stored.bytes).into_owned().into();
                }
            }
            Ok(found)
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let current = self.memory.get_one(key, Look::up_to(usize::MAX)).await?;
            let current = current.as_ref().map(|current| &current.bytes[..]);
            if self.has("no fence") {
                return self.memory.replace(key, entry, ttl).await.map(|()| true);
            }
            if self.has("a vanished entry is a fence") && current.is_none() {
                return Ok(fence.as_bytes().is_empty());
            }
            if self.has("its own entry is a stranger") && current == Some(&entry[..]) {
                return Ok(false);
            }
            if self.has("the comparison is not atomic") {
                std::thread::sleep(Duration::from_millis(1));
                let allowed = fence.allows(current) || current == Some(&entry[..]);
                return match allowed {
                    true => self.memory.replace(key, entry, ttl).await.map(|()| true),
                    false => Ok(false),
                };
            }
            if self.has("its lock is kept") {
                std::mem::forget(fence.clone());
            }
            if self.has("a flush does not wait") {
                later(fence.clone());
            }
            self.memory.put(key, entry, ttl, fence).await
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let ttl = match self.defect {
            "it lives for ever" => ttl * 1_000,
            "it dies at once" => Duration::ZERO,
            _ => ttl,
        };
        self.memory.replace(key, entry, ttl)
    }

    fn keep<'a>(&'a self, keys: &'a [Key], ttl: Duration) -> BoxFuture<'a, Result<(), Error>> {
        match self.defect {
            "nothing is kept for longer" => Box::pin(async { Ok(()) }),
            _ => self.memory.keep(keys, ttl),
        }
    }
}

#[test]
fn defects_of_a_store_are_found() {
    let conformance = |defect| {
        let clock = ManualClock::new();
        let store = Defective {
            memory: Memory::new().with_clock(&clock),
            defect,
        };
        clock.advance(Duration::from_secs(1));
        super::store::conformance(&store, &clock);
    };
    conformance("none");
    for defect in [
        "too much is read",
        "another order",
        "no time is told",
        "the time stands still",
        "all is whole",
        "text only",
        "nothing is kept for longer",
        "no fence",
        "a vanished entry is a fence",
        "its own entry is a stranger",
        "the comparison is not atomic",
        "it lives for ever",
        "it dies at once",
        "its lock is kept",
        "a flush does not wait",
    ] {
        is_found(defect, || conformance(defect));
    }
}

/// A lock with a defect.
#[derive(Debug, Default)]
struct DefectiveLock {
    local: Arc<Local>,
    defect: &'static str,
}

fn released_later(guard: LockGuard) -> LockGuard {
    LockGuard::new(move || {
        later(guard);
    })
}

/// Drops something when nobody waits for it any more.
fn later<T: Send + 'static>(dropped: T) {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(2));
        drop(dropped);
    });
}

struct Deaf;

impl Waiter for Deaf {
    fn woken(&mut self) -> BoxFuture<'_, Result<Option<LockGuard>, Error>> {
        Box::pin(std::future::pending())
    }
}

impl Lock for DefectiveLock {
    fn try_lock<'a>(
        &'a self,
        key: &'a Key,
        caller: Caller,
    ) -> BoxFuture<'a, Result<Option<LockGuard>, Error>> {
        if self.defect == "all are let in" {
            return Box::pin(async { Ok(Some(LockGuard::new(|| ()))) });
        }
        let locked = self.local.try_lock(key, caller);
        if self.defect == "a flush does not wait" {
            return Box::pin(async move { Ok(locked.await?.map(released_later)) });
        }
        if self.defect == "one key for all" {
            let key = Key::new("all");
            let local = Arc::clone(&self.local);
            return Box::pin(async move { local.try_lock(&key, caller).await });
        }
        locked
    }

    fn register_waiter<'a>(
        &'a self,
        key: &'a Key,
    ) -> BoxFuture<'a, Result<Box<dyn Waiter>, Error>> {
        if self.defect == "nobody is woken" {
            return Box::pin(async { Ok(Box::new(Deaf) as _) });
        }
        self.local.register_waiter(key)
    }
}

#[test]
fn defects_of_a_lock_are_found() {
    let conformance = |defect| {
        let lock = DefectiveLock {
            local: Arc::default(),
            defect,
        };
        super::lock::conformance(&[&lock]);
    };
    conformance("none");
    for defect in [
        "all are let in",
        "one key for all",
        "nobody is woken",
        "a flush does not wait",
    ] {
        is_found(defect, || conformance(defect));
    }
    let apart = [DefectiveLock::default(), DefectiveLock::default()];
    is_found("they do not exclude each other", || {
        super::lock::conformance(&[&apart[0], &apart[1]]);
    });
}
