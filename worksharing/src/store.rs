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
#[cfg(feature = "cluster")]
#[cfg_attr(docsrs, doc(cfg(feature = "cluster")))]
pub use crate::backend::redis::RedisCluster;
use crate::lock::LockGuard;
use crate::{BoxFuture, Error, Key};

/// For so long every entry of any kind is kept, fresh or not, and a leader that saw nothing may put: so an entry that
/// superseded a computation is seen by it, however short its own life is. A store that is full evicts nothing younger.
pub const FENCE_LIFE: Duration = Duration::from_secs(10);

/// Where entries are kept and shared.
///
/// A store keeps bytes by [`Key::digest`] and may lose any of them, once they are [`FENCE_LIFE`] old: that is a miss.
/// It judges by its own clock when an entry has outlived its time to live.
///
/// # Cancel safety
/// The flow may drop any of these futures at any await point: a request that was sent may or may not
/// have taken effect, and the store must stay usable.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// What stands under each of the keys, in their order: `None` where there is nothing, or where its time to
    /// live has run out. All of them are read at one moment, or one after the other, in one round trip.
    ///
    /// # Errors
    /// The store cannot be reached, or refused.
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>>;

    /// What stands under one key: [`get`](Self::get), which may be cheaper so.
    ///
    /// # Errors
    /// As of [`get`](Self::get).
    fn get_one<'a>(
        &'a self,
        key: &'a Key,
        look: Look,
    ) -> BoxFuture<'a, Result<Option<Stored>, Error>> {
        Box::pin(async move {
            let found = self.get(std::slice::from_ref(key), look).await?;
            Ok(found.into_iter().next().flatten())
        })
    }

    /// Stores an entry for `ttl`, but only if what stands there now is nothing, or what the fence
    /// [allows](Fence::allows), or this entry itself: a put that is sent again, because its answer was lost, knows
    /// what it stored the first time. The comparison and the write are one atomic step. Returns whether it is stored.
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
    /// It takes effect at most once. Where it is not known whether it did, it is an error: sent again, it would replace
    /// what came since, and look like a tombstone that somebody has seen. The flow then lays another.
    ///
    /// # Errors
    /// The store cannot be reached, or refused.
    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>>;

    /// Sees to it that what stands under each of these keys is kept for at least `ttl` from now on. What is kept for
    /// longer already stays as it is, and what is missing stays missing.
    ///
    /// For the markers of tags, which are to outlive the entries that depend on them. A store that leaves this out
    /// forgets a marker when its first time is over: then the entries with that tag are misses.
    ///
    /// # Errors
    /// The store cannot be reached, or refused.
    fn keep<'a>(&'a self, keys: &'a [Key], ttl: Duration) -> BoxFuture<'a, Result<(), Error>> {
        let _ = (keys, ttl);
        Box::pin(async { Ok(()) })
    }

    /// Connects, and makes sure that the store can do its work.
    ///
    /// # Errors
    /// Says what was found and what to do about it.
    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }

    /// Completes once the writes that were queued before have taken effect or were refused, those too whose futures
    /// were dropped, and the locks that were held for them have been given back. Where nothing is queued, nobody connects
    /// for it.
    ///
    /// For a process that is about to end. [`Lock::flush`](crate::lock::Lock::flush) comes next.
    ///
    /// # Errors
    /// The store cannot be reached, or does not answer in a bounded time: what was queued may not be stored.
    ///
    /// # Cancel safety
    /// Dropped, it changes nothing: what is queued is sent all the same.
    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

/// One store for several runtimes.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        (**self).get(keys, look)
    }

    fn get_one<'a>(
        &'a self,
        key: &'a Key,
        look: Look,
    ) -> BoxFuture<'a, Result<Option<Stored>, Error>> {
        (**self).get_one(key, look)
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

    fn keep<'a>(&'a self, keys: &'a [Key], ttl: Duration) -> BoxFuture<'a, Result<(), Error>> {
        (**self).keep(keys, ttl)
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        (**self).check()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        (**self).flush()
    }
}

/// What is asked of a [`Store::get`] beside the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Look {
    /// The largest entry that is wanted whole, in bytes. Of a larger one the first [`Seen::LEN`] bytes are enough,
    /// and a store that must read the rest to give them reads no more than this.
    pub max_bytes: usize,
    /// Whether the time that is left to an entry is wanted. A store that knows it anyway may give it unasked.
    pub time_left: bool,
}

impl Look {
    /// Entries of at most so many bytes, without the time that is left to them.
    pub fn up_to(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            time_left: false,
        }
    }

    /// The same, with the time.
    pub fn with_time_left(mut self) -> Self {
        self.time_left = true;
        self
    }
}

/// An entry that a [`Store::get`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// The entry or, if it is larger than [`Look::max_bytes`], at least its first [`Seen::LEN`] bytes.
    pub bytes: Bytes,
    /// Whether `bytes` is the whole entry.
    pub whole: bool,
    /// The time until the store forgets it, by the store's clock; `None` where it was not asked for, or where it is
    /// kept for ever, as no entry of ours is.
    ///
    /// A store that cannot read entry and time at one moment reads the time first: what replaces the entry in
    /// between then looks older than it is, never fresher.
    pub time_left: Option<Duration>,
    /// A transaction has invalidated it, which is not laid yet. Then nothing else of this counts.
    #[cfg(feature = "postgres")]
    pub(crate) is_pending: bool,
}

impl Stored {
    /// What was found whole, as a [`Store::get`] returns it for this look.
    pub fn new(bytes: Bytes, look: Look) -> Self {
        let whole = bytes.len() <= look.max_bytes;
        let bytes = if whole {
            bytes
        } else {
            bytes.slice(..bytes.len().min(Seen::LEN))
        };
        Self {
            bytes,
            whole,
            time_left: None,
            #[cfg(feature = "postgres")]
            is_pending: false,
        }
    }

    /// What a transaction has invalidated.
    #[cfg(feature = "postgres")]
    pub(crate) fn pending(look: Look) -> Self {
        Self {
            is_pending: true,
            ..Self::new(Bytes::new(), look)
        }
    }

    /// The same, with the time that is left to it.
    pub fn with_time_left(mut self, time_left: Duration) -> Self {
        self.time_left = Some(time_left);
        self
    }
}

/// What a leader saw under its key before it computed: the first [`Seen::LEN`] bytes of the entry,
/// which hold its random id, or all of it if it is shorter; empty if there was nothing.
///
/// A [`Fence`] is made of it: an entry that came to stand there since is newer, and stays.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    bytes: [u8; Self::LEN],
    /// A byte, because calls keep it while they wait.
    len: u8,
}

impl Seen {
    /// How many bytes at the beginning of an entry tell it from every other.
    pub const LEN: usize = 24;

    /// What was seen when this stood there.
    pub fn of(entry: Option<&[u8]>) -> Self {
        let mut seen = Self::default();
        if let Some(entry) = entry {
            let entry = &entry[..entry.len().min(Self::LEN)];
            seen.len = entry.len() as u8;
            seen.bytes[..entry.len()].copy_from_slice(entry);
        }
        seen
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What a [`Store::put`] is fenced by: what the leader saw before it computed, and the lock under which it did.
#[derive(Clone, Debug)]
pub struct Fence {
    seen: Seen,
    _held: Option<LockGuard>,
}

impl Fence {
    /// A fence of what was seen, that keeps the lock for as long as it lives.
    pub fn new(seen: Seen, held: Option<LockGuard>) -> Self {
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
