//! Who computes: the [`Lock`] trait and the locks that come with the crate.

use std::fmt;
use std::sync::Arc;

pub use crate::backend::directory::DirectoryLock as Directory;
pub use crate::backend::memory::Local;
#[cfg(feature = "postgres")]
pub use crate::backend::postgres::lock::Postgres;
use crate::{BoxFuture, Error, Key};

/// How keys are locked in PostgreSQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostgresLock {
    /// By session where that works, else by lease.
    #[default]
    Auto,
    /// By advisory locks of one session: freed by the server when the process dies.
    Session,
    /// By rows with a time limit that is renewed: for transaction-pooling PgBouncer and for servers without
    /// advisory locks.
    Lease,
}

/// Mutual exclusion by key, among all processes that share a lock server.
///
/// One process may ask for one key from several callers: they exclude each other too.
///
/// # Cancel safety
/// The flow may drop any of these futures at any await point: a lock that is granted to nobody must
/// be released.
pub trait Lock: fmt::Debug + Send + Sync + 'static {
    /// Takes the key's lock if it is free; `None` if it is busy. Never waits for another holder.
    ///
    /// # Errors
    /// The lock server cannot be reached, or cannot take more locks. The caller computes without.
    fn try_lock<'a>(
        &'a self,
        key: &'a Key,
        caller: Caller,
    ) -> BoxFuture<'a, Result<Option<LockGuard>, Error>>;

    /// Shows interest in a busy key. From the moment this returns, no release goes unnoticed by
    /// [`Waiter::woken`].
    ///
    /// # Errors
    /// As for [`try_lock`](Self::try_lock).
    fn register_waiter<'a>(&'a self, key: &'a Key)
    -> BoxFuture<'a, Result<Box<dyn Waiter>, Error>>;

    /// What this lock excludes on, if other objects exclude on the same: the server and database, the directory. A
    /// body that asks for its own key through another runtime is noticed by it. No secret is in it.
    fn scope(&self) -> Option<String> {
        None
    }

    /// Which of several servers has this key, for a lock that is spread over them: a name without secrets, the same for all
    /// keys of a server. Trouble with one of them is said by itself, and is over by itself.
    fn server_of(&self, _key: &Key) -> Option<&str> {
        None
    }

    /// Connects, and makes sure that the lock works there.
    ///
    /// # Errors
    /// Says what was found and what to do about it.
    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    /// Completes once the releases that were queued before have taken effect, and those who wait for them were told:
    /// of guards that were dropped, and of locks that were granted to futures that were dropped. Where nothing is
    /// queued, nobody connects for it.
    ///
    /// For a process that is about to end. [`Store::flush`](crate::store::Store::flush) comes first: a store may hold a
    /// lock until it has written.
    ///
    /// # Errors
    /// The lock server cannot be reached, or does not answer in a bounded time: what was queued may not be released.
    ///
    /// # Cancel safety
    /// Dropped, it changes nothing: what is queued is sent all the same.
    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

/// One lock for several runtimes.
impl<L: Lock + ?Sized> Lock for Arc<L> {
    fn try_lock<'a>(
        &'a self,
        key: &'a Key,
        caller: Caller,
    ) -> BoxFuture<'a, Result<Option<LockGuard>, Error>> {
        (**self).try_lock(key, caller)
    }

    fn register_waiter<'a>(
        &'a self,
        key: &'a Key,
    ) -> BoxFuture<'a, Result<Box<dyn Waiter>, Error>> {
        (**self).register_waiter(key)
    }

    fn scope(&self) -> Option<String> {
        (**self).scope()
    }

    fn server_of(&self, key: &Key) -> Option<&str> {
        (**self).server_of(key)
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        (**self).check()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        (**self).flush()
    }
}

/// Who asks for a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Caller {
    /// One that holds no other key.
    #[default]
    Outermost,
    /// One inside the computation of another key, which holds that key's lock until this one has been served: a
    /// lock that bounds how many keys are held must not let it queue behind callers that wait for its outer key.
    Nested,
}

/// Interest in a busy key, withdrawn by dropping it.
pub trait Waiter: Send {
    /// Sleeps until the key may have become free. `Some` is the lock itself, taken for this waiter;
    /// `None` says: look in the store, then try.
    ///
    /// # Errors
    /// The lock server was lost and did not come back. The caller computes without.
    fn woken(&mut self) -> BoxFuture<'_, Result<Option<LockGuard>, Error>>;
}

/// A lock that is held. Dropping it, and all its clones, releases it: queued, never blocking.
#[derive(Clone)]
pub struct LockGuard {
    _held: Arc<dyn Send + Sync>,
}

impl LockGuard {
    /// A held lock, and how to release it. `release` must not block and must not panic.
    pub fn new(release: impl FnOnce() + Send + Sync + 'static) -> Self {
        let _held = Arc::new(Releases(Some(release)));
        Self { _held }
    }
}

struct Releases<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for Releases<F> {
    fn drop(&mut self) {
        if let Some(release) = self.0.take() {
            release();
        }
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockGuard")
    }
}
