//! The files of a store: where they are, how one is written and read.

use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, ErrorKind::NotFound, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file;
use super::files;
use super::sweep::Sweep;
use crate::backend::clock::Clock;
use crate::backend::directory::poller::{Polled, Poller};
use crate::store::{Look, Stored};
use crate::sync::{Mutex, MutexGuard, lock};
use crate::{Error, Key};

/// Files that are written to share this many locks.
pub(super) const STRIPES: usize = 16;

#[derive(Debug)]
pub(super) struct ValueFiles {
    base: PathBuf,
    path: PathBuf,
    stripes: [Mutex<()>; STRIPES],
    /// For those who wait until another process has written.
    pub(super) poller: Poller,
    pub(super) sweep: Mutex<Sweep>,
    pub(super) clock: Clock,
}

impl ValueFiles {
    pub(super) fn new(clock: Clock, base: &Path) -> Result<Self, Error> {
        Ok(Self {
            base: base.to_owned(),
            path: files::private_for("values", base, "values")?,
            stripes: Default::default(),
            poller: Poller::default(),
            sweep: Mutex::default(),
            clock,
        })
    }

    fn file_of(&self, key: &Key) -> PathBuf {
        self.shard(key.digest()[0]).join(key.hex())
    }

    pub(super) fn shard(&self, shard: u8) -> PathBuf {
        self.path.join(format!("{shard:02x}"))
    }

    pub(super) async fn write_temporary(
        &self,
        key: &Key,
        entry: &[u8],
        ttl: Duration,
    ) -> io::Result<Temporary> {
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
        file::write(&mut file, entry).await?;
        Ok(temporary)
    }

    /// Gives the entry its name, if that is allowed. `None`: another process is writing.
    pub(super) fn try_move(
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

    /// Keeps an entry for at least so long from now on, if there is one. `None`: another process is writing.
    pub(super) fn try_keep(&self, key: &Key, ttl: Duration) -> io::Result<Option<()>> {
        let Some(_held) = self.try_exclusively(key.digest()[0])? else {
            return Ok(None);
        };
        file::keep(&self.file_of(key), ttl, self.clock.wall()).map(Some)
    }

    /// Keeps other writers out, first those of this process, which are as quick as we are, and then those of others.
    pub(super) fn try_exclusively(
        &self,
        shard: u8,
    ) -> io::Result<Option<(File, MutexGuard<'_, ()>)>> {
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

    pub(super) async fn read(&self, key: &Key, look: Look) -> Result<Option<Stored>, Error> {
        file::read(&self.file_of(key), look, self.clock.wall())
            .await
            .map_err(|error| self.unusable("read", error))
    }

    pub(super) fn unusable(&self, what: &str, error: io::Error) -> Error {
        let path = self.path.display();
        Error::unavailable(format!(
            "cannot {what} a value file in {path}: it must exist, be writable for this user, and have space"
        ))
        .caused_by(error)
    }

    pub(super) async fn check(&self) -> io::Result<()> {
        files::private(&self.base, "values")?;
        self.write_temporary(&Key::new("check"), &[], Duration::ZERO)
            .await?;
        self.try_exclusively(0).map(drop)
    }
}

impl Polled for ValueFiles {
    fn poller(&self) -> &Poller {
        &self.poller
    }

    /// Whoever waits tries again at each look.
    fn may_be_free(&self, _digest: &[u8; 16]) -> bool {
        true
    }
}

/// A file under a temporary name, which is removed with it.
pub(super) struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It has got its name, most of the time.
        let _ = fs::remove_file(&self.0);
    }
}
