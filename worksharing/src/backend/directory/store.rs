mod file;
mod sweep;
mod value_files;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::value_files::ValueFiles;
use super::files;
use super::poller::Poller;
use crate::backend::clock::Clock;
use crate::store::{Fence, Look, Seen, Store, Stored};
use crate::{BoxFuture, Error, Key};

/// How long a write waits for its lock, which is held for microseconds, unless its holder is frozen.
const PATIENCE: Duration = Duration::from_millis(250);

/// Values as files, shared by the processes of one machine, and of one user, without a server.
///
/// Each is written under a temporary name and then renamed, so that no reader sees a part of it.
/// Expired files are removed bit by bit by later writes.
#[derive(Debug)]
pub struct Directory(Arc<ValueFiles>);

impl Directory {
    /// Values in `values` below this path, which is created if need be.
    ///
    /// # Errors
    /// The path cannot be created, belongs to another user, or may be written by others.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::by(Clock::default(), path.as_ref())
    }

    /// The same by another clock.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    #[cfg(any(test, feature = "testing"))]
    pub fn with_clock(
        path: impl AsRef<Path>,
        clock: &crate::testing::ManualClock,
    ) -> Result<Self, Error> {
        Self::by(clock.into(), path.as_ref())
    }

    fn by(clock: Clock, base: &Path) -> Result<Self, Error> {
        Ok(Self(Arc::new(ValueFiles::new(clock, base)?)))
    }

    /// Writes the entry if `allowed` says so of what stands there. The thread is never blocked until another process
    /// has written, which may be frozen.
    async fn write(
        &self,
        key: &Key,
        entry: &[u8],
        ttl: Duration,
        allowed: impl Fn(Option<&[u8]>) -> bool,
    ) -> Result<bool, Error> {
        let files = &*self.0;
        let unusable = |error| files.unusable("write", error);
        // What takes long comes before the lock.
        let temporary = files
            .write_temporary(key, entry, ttl)
            .await
            .map_err(unusable)?;
        let moved = || files.try_move(&temporary, key, &allowed);
        let written = self.until_it_is_our_turn(key, moved).await?;
        files.sweep_some();
        Ok(written)
    }

    /// Tries until no other process writes.
    async fn until_it_is_our_turn<R>(
        &self,
        key: &Key,
        attempt: impl Fn() -> io::Result<Option<R>>,
    ) -> Result<R, Error> {
        let unusable = |error| self.0.unusable("write", error);
        let (begun, mut waiting) = (Instant::now(), None);
        loop {
            if let Some(done) = attempt().map_err(unusable)? {
                return Ok(done);
            }
            if begun.elapsed() > PATIENCE {
                let error = "another process holds the write lock and does not go on";
                return Err(unusable(io::Error::new(io::ErrorKind::TimedOut, error)));
            }
            if waiting.is_none() {
                waiting = Some(Poller::subscribe(&self.0, *key.digest())?);
            } else if let Some(waiting) = &mut waiting {
                waiting.notified().await;
            }
        }
    }
}

impl Store for Directory {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                found.push(self.0.read(key, look).await?);
            }
            Ok(found)
        })
    }

    fn get_one<'a>(
        &'a self,
        key: &'a Key,
        look: Look,
    ) -> BoxFuture<'a, Result<Option<Stored>, Error>> {
        Box::pin(self.0.read(key, look))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let own = Seen::of(Some(&entry));
            let allowed =
                |current: Option<&[u8]>| fence.allows(current) || Seen::of(current) == own;
            self.write(key, &entry, ttl, allowed).await
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.write(key, &entry, ttl, |_| true).await.map(drop) })
    }

    fn keep<'a>(&'a self, keys: &'a [Key], ttl: Duration) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            for key in keys {
                let kept = || self.0.try_keep(key, ttl);
                self.until_it_is_our_turn(key, kept).await?;
            }
            Ok(())
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            let checked = self.0.check().await;
            checked.map_err(|error| self.0.unusable("write", error))
        })
    }
}

#[cfg(test)]
mod tests;
