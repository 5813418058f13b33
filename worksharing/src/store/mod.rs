//! Where values are kept: the [`Store`] trait and the stores that come with the crate.

mod directory;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

pub use self::directory::Directory;
pub use self::memory::Memory;
#[cfg(feature = "postgres")]
pub use self::postgres::Postgres;
#[cfg(feature = "redis")]
pub use self::redis::Redis;
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

    /// Stores an entry for `ttl`, but only if what stands there now is nothing, or what `seen` saw.
    /// The comparison and the write are one atomic step. Returns whether it was stored.
    ///
    /// # Errors
    /// The store cannot be reached, or refused.
    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        seen: Seen,
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

/// What a leader saw under its key before it computed: the first [`Seen::LEN`] bytes of the entry,
/// which hold its random id, or all of it if it is shorter; empty if there was nothing.
///
/// A [`Store::put`] is fenced by it: an entry that came to stand there since is newer, and stays.
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

    /// The bytes, for a store that compares them on its server.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Whether a put is still allowed where `current` stands.
    pub fn allows(&self, current: Option<&[u8]>) -> bool {
        current.is_none() || Self::of(current) == *self
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seen({:02x?})", self.as_bytes())
    }
}

#[cfg(test)]
mod tests;
