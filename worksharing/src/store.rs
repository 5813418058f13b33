//! Where values are kept: the [`Store`] trait and the stores that come with the crate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use crate::backend::directory::DirectoryStore as Directory;
pub use crate::backend::memory::Memory;
#[cfg(feature = "postgres")]
pub use crate::backend::postgres::PostgresStore as Postgres;
#[cfg(feature = "redis")]
pub use crate::backend::redis::Redis;
use crate::lock::LockGuard;
use crate::{BoxFuture, Error, Key};

/// Where entries are kept and shared.
///
/// A store keeps bytes by [`Key::digest`] and may lose any of them at any time: that is a miss. It judges
/// by its own clock when an entry has outlived its time to live.
///
/// # Cancel safety
/// The flow may drop any of these futures at any await point: a request that was sent may or may not
/// have taken effect, and the store must stay usable.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The entry that stands under the key, if there is one and its time to live has not run out.
    ///
    /// # Errors
    /// The store cannot be reached, or refused.
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Bytes>, Error>>;

    /// Stores an entry for `ttl`, but only if what stands there now is nothing, or what the fence
    /// [allows](Fence::allows). The comparison and the write are one atomic step. Returns whether it was
    /// stored.
    ///
    /// A store whose writes go on after this future is dropped keeps the fence until they have taken effect:
    /// the lock that it holds is then released after the value is there.
    ///
    /// # Errors
    /// The store cannot be reached, or refused.
    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>>;

    /// Stores an entry for `ttl`, whatever stands there: how a tombstone is laid.
    ///
    /// # Errors
    /// The store cannot be reached, or refused.
    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Connects, and makes sure that the store can do its work.
    ///
    /// # Errors
    /// Says what was found and what to do about it.
    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

/// One store for several runtimes.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Bytes>, Error>> {
        (**self).get(key)
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        (**self).put(key, entry, ttl, fence)
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        (**self).replace(key, entry, ttl)
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        (**self).check()
    }
}

/// What a leader saw under its key before it computed: the first [`Seen::LEN`] bytes of the entry,
/// which hold its random id, or all of it if it is shorter; empty if there was nothing.
///
/// A [`Fence`] is made of it: an entry that came to stand there since is newer, and stays.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    bytes: [u8; Self::LEN],
    len: usize,
}

impl Seen {
    /// How many bytes at the beginning of an entry tell it from every other.
    pub const LEN: usize = 24;

    /// What was seen when this stood there.
    pub fn of(entry: Option<&[u8]>) -> Self {
        let mut seen = Self::default();
        if let Some(entry) = entry {
            seen.len = entry.len().min(Self::LEN);
            seen.bytes[..seen.len].copy_from_slice(&entry[..seen.len]);
        }
        seen
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What a [`Store::put`] is fenced by: what the leader saw before it computed, and the lock under which it did.
#[derive(Clone, Debug)]
pub struct Fence {
    seen: Seen,
    _held: Option<Arc<LockGuard>>,
}

impl Fence {
    /// A fence of what was seen, that keeps the lock for as long as it lives.
    pub fn new(seen: Seen, held: Option<Arc<LockGuard>>) -> Self {
        Self { seen, _held: held }
    }

    /// Whether a put is still allowed where `current` stands.
    pub fn allows(&self, current: Option<&[u8]>) -> bool {
        current.is_none() || Seen::of(current) == self.seen
    }

    /// The only entry, by its first [`Seen::LEN`] bytes, that a put may overwrite; empty if there is none. For a
    /// store that compares them on its server.
    pub fn as_bytes(&self) -> &[u8] {
        self.seen.as_bytes()
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seen({:02x?})", self.as_bytes())
    }
}

#[cfg(test)]
mod tests;
