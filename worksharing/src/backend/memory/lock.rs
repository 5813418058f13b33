use std::collections::HashSet;
use std::fmt;
use std::future::ready;
use std::sync::Arc;

use crate::backend::notify::{Notify, Subscription};
use crate::lock::{Caller, Lock, LockGuard, Waiter};
use crate::sync::{Mutex, lock};
use crate::{BoxFuture, Error, Key};

/// Locks among the callers of this process.
#[derive(Default)]
pub struct Local {
    held: Arc<Mutex<HashSet<[u8; 16]>>>,
    notify: Notify,
}

impl Local {
    /// Nothing is locked yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("held", &lock(&self.held).len())
            .finish()
    }
}

impl Lock for Local {
    fn try_lock<'a>(
        &'a self,
        key: &'a Key,
        _caller: Caller,
    ) -> BoxFuture<'a, Result<Option<LockGuard>, Error>> {
        let digest = *key.digest();
        let taken = lock(&self.held).insert(digest);
        let guard = taken.then(|| {
            let (held, notify) = (Arc::clone(&self.held), self.notify.clone());
            LockGuard::new(move || {
                lock(&held).remove(&digest);
                notify.wake(&digest);
            })
        });
        Box::pin(ready(Ok(guard)))
    }

    fn register_waiter<'a>(
        &'a self,
        key: &'a Key,
    ) -> BoxFuture<'a, Result<Box<dyn Waiter>, Error>> {
        let waiter: Box<dyn Waiter> = Box::new(self.notify.subscribe(*key.digest()));
        Box::pin(ready(Ok(waiter)))
    }

    fn scope(&self) -> Option<String> {
        Some(format!("{:p}", Arc::as_ptr(&self.held)))
    }
}

impl Waiter for Subscription {
    fn woken(&mut self) -> BoxFuture<'_, Result<Option<LockGuard>, Error>> {
        Box::pin(async {
            self.notified().await;
            Ok(None)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::lock::{conformance, excludes};

    #[test]
    fn it_is_a_lock() {
        conformance(&[&Local::new()]);
    }

    #[test]
    fn callers_exclude_each_other() {
        excludes(&[&Local::new()], 8, 2_000);
    }
}
