use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File, TryLockError};
use std::future::ready;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::board::Shown;
use super::files;
use super::poller::{Polled, Poller};
use crate::backend::notify::Subscription;
use crate::computing::Board;
use crate::lock::{Caller, Lock, LockGuard, Waiter};
use crate::sync::{Mutex, lock};
use crate::{BoxFuture, Error, ErrorKind, Key};

/// How often a file may vanish between its opening and its locking before that is called an error.
const VANISHED: usize = 1_000;

/// Locks among the processes of one machine, without a server: one file for each key that is held,
/// locked by [`File::try_lock`]. The kernel frees it when its process dies.
///
/// The directory must be on a local file system. Its files may be removed while no process uses it. They are for the
/// processes of one user: nobody else may read or write them.
#[derive(Debug)]
pub struct Directory(Arc<Files>);

#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    /// Beside it, where those are told who wait.
    waiting: PathBuf,
    held: Mutex<Held>,
    poller: Poller,
}

/// What this process holds or is about to: a second caller need not ask the kernel.
#[derive(Debug, Default)]
struct Held {
    process: u32,
    /// With the file, once it is locked.
    keys: HashMap<[u8; 16], Option<Arc<File>>>,
}

impl Held {
    /// A fork holds nothing of what its parent holds.
    fn keys(&mut self) -> &mut HashMap<[u8; 16], Option<Arc<File>>> {
        if self.process != process::id() {
            self.process = process::id();
            self.keys.clear();
        }
        &mut self.keys
    }
}

impl Directory {
    /// Locks in `locks` below this path, which is created if need be.
    ///
    /// # Errors
    /// The path cannot be created, belongs to another user, or may be written by others.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self(Arc::new(Files {
            path: files::private_for("locks", path.as_ref(), "locks")?,
            waiting: files::private_for("locks", path.as_ref(), "waiting")?,
            held: Mutex::default(),
            poller: Poller::default(),
        })))
    }

    /// Where is told what is computed under these locks.
    pub(crate) fn board(&self) -> Arc<dyn Board> {
        Arc::clone(&self.0) as _
    }
}

impl Lock for Directory {
    fn try_lock<'a>(
        &'a self,
        key: &'a Key,
        _caller: Caller,
    ) -> BoxFuture<'a, Result<Option<LockGuard>, Error>> {
        Box::pin(ready(self.0.try_lock(*key.digest(), &key.hex())))
    }

    fn register_waiter<'a>(
        &'a self,
        key: &'a Key,
    ) -> BoxFuture<'a, Result<Box<dyn Waiter>, Error>> {
        let waiter = Poller::subscribe(&self.0, *key.digest()).map(|subscription| Waiting {
            subscription,
            _shown: Shown::later(self.0.of_waiter(key)),
        });
        Box::pin(ready(waiter.map(|waiter| Box::new(waiter) as _)))
    }

    fn scope(&self) -> Option<String> {
        let path = fs::canonicalize(&self.0.path);
        Some(
            path.unwrap_or_else(|_| self.0.path.clone())
                .display()
                .to_string(),
        )
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(ready(self.0.check()))
    }
}

/// Interest in a key, which others can see when it lasts.
struct Waiting {
    subscription: Subscription,
    _shown: Shown,
}

impl Waiter for Waiting {
    fn woken(&mut self) -> BoxFuture<'_, Result<Option<LockGuard>, Error>> {
        self.subscription.woken()
    }
}

impl Files {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn waiting(&self) -> &Path {
        &self.waiting
    }

    /// The file of one who waits: of each a name of its own.
    fn of_waiter(&self, key: &Key) -> PathBuf {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{number}", key.hex(), process::id());
        self.waiting.join(name)
    }

    /// The file of a key that this process holds.
    pub(super) fn held_file(&self, digest: &[u8; 16]) -> Option<Arc<File>> {
        lock(&self.held).keys().get(digest)?.clone()
    }

    fn try_lock(self: &Arc<Self>, digest: [u8; 16], hex: &str) -> Result<Option<LockGuard>, Error> {
        match lock(&self.held).keys().entry(digest) {
            Entry::Occupied(_) => return Ok(None),
            Entry::Vacant(vacant) => vacant.insert(None),
        };
        let path = self.path.join(hex);
        let taken = take(&path).map(|taken| taken.map(Arc::new));
        {
            let mut held = lock(&self.held);
            match &taken {
                Ok(Some(file)) => held.keys().insert(digest, Some(Arc::clone(file))),
                _ => held.keys().remove(&digest),
            };
        }
        let Some(file) = taken.map_err(|error| self.unusable(error))? else {
            return Ok(None);
        };
        let (files, process) = (Arc::clone(self), process::id());
        Ok(Some(LockGuard::new(move || {
            // It is its parent's that a fork has a copy of.
            if process != process::id() {
                return;
            }
            release(&path, &file);
            lock(&files.held).keys().remove(&digest);
            files.poller.notify.wake(&digest);
        })))
    }

    pub(super) fn unusable(&self, error: io::Error) -> Error {
        let path = self.path.display();
        Error::unavailable(format!(
            "cannot lock a file in {path}: it must exist, be writable for this user, and be on a local file \
             system"
        ))
        .caused_by(error)
    }

    /// Whether the lock keeps a second holder out, as some network file systems do not.
    fn check(&self) -> Result<(), Error> {
        let path = self.path.join(format!("check-{}", std::process::id()));
        let outcome = take(&path).and_then(|first| Ok((first, take(&path)?)));
        let (first, second) = outcome.map_err(|error| self.unusable(error))?;
        first.into_iter().for_each(|file| release(&path, &file));
        if second.is_none() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Unsuitable,
            format!(
                "file locks do nothing in {}: name a directory on a local file system",
                self.path.display()
            ),
        ))
    }
}

impl Polled for Files {
    fn poller(&self) -> &Poller {
        &self.poller
    }

    /// Whether nobody holds the key: its file is not there, or not locked. Asking takes the lock shared
    /// for a moment; a caller who tries at that moment is told that it is busy, and tries again when
    /// it is woken.
    fn may_be_free(&self, digest: &[u8; 16]) -> bool {
        if lock(&self.held).keys().contains_key(digest) {
            return false;
        }
        let hex = format!("{:032x}", u128::from_be_bytes(*digest));
        match files::options().read(true).open(self.path.join(hex)) {
            Ok(file) => !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)),
            // Missing, or beyond our means: the caller who tries finds out.
            Err(_) => true,
        }
    }
}

/// Opens and locks the file. `None`: somebody else has it.
fn take(path: &Path) -> io::Result<Option<File>> {
    for _ in 0..VANISHED {
        match lock_opened(open(path)?, path)? {
            Taken::Held(file) => return Ok(Some(file)),
            Taken::Busy => return Ok(None),
            Taken::Vanished => {}
        }
    }
    Err(io::Error::other("the lock file vanishes again and again"))
}

enum Taken {
    Held(File),
    Busy,
    /// Its holder removed it after we opened it: the lock on it is worth nothing.
    Vanished,
}

fn lock_opened(file: File, path: &Path) -> io::Result<Taken> {
    match file.try_lock() {
        Ok(()) if is_at(&file, path) => {
            // One that died may have written to it.
            if file.metadata()?.len() > 0 {
                file.set_len(0)?;
            }
            Ok(Taken::Held(file))
        }
        Ok(()) => Ok(Taken::Vanished),
        Err(TryLockError::WouldBlock) => Ok(Taken::Busy),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = files::options();
    options.read(true).write(true).create(true);
    options.open(path).or_else(|error| {
        let directory = path.parent().and_then(|directory| {
            let name = directory.file_name()?.to_str()?;
            Some((directory.parent()?, name))
        });
        match directory {
            // Something cleaned the directory away.
            Some((base, name)) if error.kind() == io::ErrorKind::NotFound => {
                files::private(base, name)?;
                options.open(path)
            }
            _ => Err(error),
        }
    })
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => identity(ours) == identity(there),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> bool {
    true
}

/// Removes the file while it is still locked, where [`take`] can tell that from outside; then unlocks.
fn release(path: &Path, file: &File) {
    if cfg!(unix) {
        let _ = fs::remove_file(path);
    }
    let _ = file.unlock();
}

#[cfg(test)]
mod tests;
