mod file;
mod sweep;

use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind::NotFound, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::sweep::Sweep;
use super::files;
use super::poller::{Polled, Poller};
use crate::backend::clock::Clock;
use crate::store::{Fence, Look, Seen, Store, Stored};
use crate::sync::{Mutex, MutexGuard, lock};
use crate::{BoxFuture, Error, Key};

/// Files that are written to share this many locks.
const STRIPES: usize = 16;
/// How long a write waits for its lock, which is held for microseconds, unless its holder is frozen.
const PATIENCE: Duration = Duration::from_millis(250);

/// Values as files, shared by the processes of one machine, and of one user, without a server.
///
/// Each is written under a temporary name and then renamed, so that no reader sees a part of it.
/// Expired files are removed bit by bit by later writes.
#[derive(Debug)]
pub struct Directory(Arc<Files>);

#[derive(Debug)]
struct Files {
    base: PathBuf,
    path: PathBuf,
    stripes: [Mutex<()>; STRIPES],
    /// For those who wait until another process has written.
    poller: Poller,
    sweep: Mutex<Sweep>,
    clock: Clock,
}

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
        Ok(Self(Arc::new(Files {
            base: base.to_owned(),
            path: files::private_for("values", base, "values")?,
            stripes: Default::default(),
            poller: Poller::default(),
            sweep: Mutex::default(),
            clock,
        })))
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
        let temporary = files.write_temporary(key, entry, ttl).map_err(unusable)?;
        let (begun, mut waiting) = (Instant::now(), None);
        let written = loop {
            let moved = files
                .try_move(&temporary, key, &allowed)
                .map_err(unusable)?;
            if let Some(written) = moved {
                break written;
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
        };
        files.sweep_some();
        Ok(written)
    }
}

impl Files {
    fn file_of(&self, key: &Key) -> PathBuf {
        self.shard(key.digest()[0]).join(key.hex())
    }

    fn shard(&self, shard: u8) -> PathBuf {
        self.path.join(format!("{shard:02x}"))
    }

    fn write_temporary(&self, key: &Key, entry: &[u8], ttl: Duration) -> io::Result<Temporary> {
        let shard = self.shard(key.digest()[0]);
        // Random even among processes of one id in several containers.
        let unique = RandomState::new().hash_one(std::process::id());
        let path = shard.join(format!(".{unique:016x}"));
        let create = || files::options().write(true).create_new(true).open(&path);
        let mut file = create().or_else(|error| match error.kind() {
            NotFound => {
                // Something may have cleaned everything away.
                files::private(&self.base, "values")?;
                files::make(&shard)?;
                create()
            }
            _ => Err(error),
        })?;
        let temporary = Temporary(path);
        file.write_all(&file::header(self.clock.wall(), ttl))?;
        file.write_all(entry)?;
        Ok(temporary)
    }

    /// Gives the entry its name, if that is allowed. `None`: another process is writing.
    fn try_move(
        &self,
        temporary: &Temporary,
        key: &Key,
        allowed: impl Fn(Option<&[u8]>) -> bool,
    ) -> io::Result<Option<bool>> {
        let Some(_held) = self.try_exclusively(key.digest()[0])? else {
            return Ok(None);
        };
        let file = self.file_of(key);
        if !allowed(file::beginning(&file, self.clock.wall())?.as_deref()) {
            return Ok(Some(false));
        }
        fs::rename(&temporary.0, &file).map(|()| Some(true))
    }

    /// Keeps other writers out, first those of this process, which are as quick as we are, and then those of others.
    fn try_exclusively(&self, shard: u8) -> io::Result<Option<(File, MutexGuard<'_, ()>)>> {
        let stripe = usize::from(shard) % STRIPES;
        let guard = lock(&self.stripes[stripe]);
        let path = self.path.join(format!("lock-{stripe:x}"));
        let file = files::options().write(true).create(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some((file, guard))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn read(&self, key: &Key, look: Look) -> Result<Option<Stored>, Error> {
        file::read(&self.file_of(key), look, self.clock.wall())
            .map_err(|error| self.unusable("read", error))
    }

    fn unusable(&self, what: &str, error: io::Error) -> Error {
        let path = self.path.display();
        Error::unavailable(format!(
            "cannot {what} a value file in {path}: it must exist, be writable for this user, and have space"
        ))
        .caused_by(error)
    }

    fn check(&self) -> io::Result<()> {
        files::private(&self.base, "values")?;
        self.write_temporary(&Key::new("check"), &[], Duration::ZERO)?;
        self.try_exclusively(0).map(drop)
    }
}

impl Polled for Files {
    fn poller(&self) -> &Poller {
        &self.poller
    }

    /// Whoever waits tries again at each look.
    fn may_be_free(&self, _digest: &[u8; 16]) -> bool {
        true
    }
}

/// A file under a temporary name, which is removed with it.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It has got its name, most of the time.
        let _ = fs::remove_file(&self.0);
    }
}

impl Store for Directory {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        Box::pin(async move { keys.iter().map(|key| self.0.read(key, look)).collect() })
    }

    fn get_one<'a>(
        &'a self,
        key: &'a Key,
        look: Look,
    ) -> BoxFuture<'a, Result<Option<Stored>, Error>> {
        Box::pin(async move { self.0.read(key, look) })
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

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        let checked = self.0.check();
        let checked = checked.map_err(|error| self.0.unusable("write", error));
        Box::pin(std::future::ready(checked))
    }
}

#[cfg(test)]
mod tests;
