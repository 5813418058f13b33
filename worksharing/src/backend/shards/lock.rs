use std::sync::Arc;

use futures_util::future::join_all;

use super::Shards;
use crate::lock::{Caller, Lock, LockGuard, Waiter};
use crate::{BoxFuture, Error, Key};

/// A lock whose keys are spread over several servers. One that is down takes its own keys with it, and no others.
#[derive(Debug)]
pub(crate) struct ShardedLock(Shards<Arc<dyn Lock>>);

impl ShardedLock {
    pub(crate) fn new(shards: Shards<Arc<dyn Lock>>) -> Self {
        Self(shards)
    }

    fn of(&self, key: &Key) -> &Arc<dyn Lock> {
        &self.0.of(key).part
    }

    fn each(&self) -> impl Iterator<Item = &Arc<dyn Lock>> {
        self.0.0.iter().map(|shard| &shard.part)
    }
}

impl Lock for ShardedLock {
    fn try_lock<'a>(
        &'a self,
        key: &'a Key,
        caller: Caller,
    ) -> BoxFuture<'a, Result<Option<LockGuard>, Error>> {
        self.of(key).try_lock(key, caller)
    }

    fn register_waiter<'a>(
        &'a self,
        key: &'a Key,
    ) -> BoxFuture<'a, Result<Box<dyn Waiter>, Error>> {
        self.of(key).register_waiter(key)
    }

    /// That of its only server, or all.
    fn scope(&self) -> Option<String> {
        let scopes: Option<Vec<String>> = self.each().map(|lock| lock.scope()).collect();
        Some(scopes?.join("; "))
    }

    fn server_of(&self, key: &Key) -> Option<&str> {
        Some(&self.0.of(key).server)
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.0
                .checked(join_all(self.each().map(|lock| lock.check())).await)
        })
    }

    /// All are flushed, whatever becomes of one.
    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let flushed = join_all(self.each().map(|lock| lock.flush())).await;
            flushed.into_iter().collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::blocking::block_on;

    /// Of which nothing but the end is asked. One with a number fails.
    #[derive(Debug)]
    struct Flushed(Arc<AtomicUsize>, Option<u32>);

    impl Lock for Flushed {
        fn try_lock<'a>(
            &'a self,
            _key: &'a Key,
            _caller: Caller,
        ) -> BoxFuture<'a, Result<Option<LockGuard>, Error>> {
            unreachable!("nobody asks")
        }

        fn register_waiter<'a>(
            &'a self,
            _key: &'a Key,
        ) -> BoxFuture<'a, Result<Box<dyn Waiter>, Error>> {
            unreachable!("nobody waits")
        }

        fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            let failed = self
                .1
                .map(|number| Error::unavailable(format!("number {number}")));
            Box::pin(async move { failed.map_or(Ok(()), Err) })
        }
    }

    #[test]
    fn all_are_flushed_though_one_fails() {
        let flushed = Arc::<AtomicUsize>::default();
        let shard = |(name, fails): (&str, Option<u32>)| {
            let lock = Flushed(Arc::clone(&flushed), fails);
            (name.to_owned(), Arc::new(lock) as Arc<dyn Lock>)
        };
        let shards = [("c", None), ("b", Some(2)), ("a", Some(1))].map(shard);
        let lock = ShardedLock::new(Shards::new(shards));
        let error = block_on(lock.flush()).unwrap_err();
        assert_eq!(
            (error.to_string(), flushed.load(Ordering::Relaxed)),
            ("number 1".to_owned(), 3)
        );
    }
}
