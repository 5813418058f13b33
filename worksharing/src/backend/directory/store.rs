use std::fs::{self, File, OpenOptions, ReadDir, TryLockError};
use std::future::ready;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind::NotFound, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::store::{Fence, Look, Seen, Store, Stored};
use crate::sync::{Mutex, MutexGuard, lock};
use crate::{BoxFuture, Error, ErrorKind, Key};

/// A value file: these 8 bytes, when it expires (µs since 1970, little-endian), the entry.
const MAGIC: [u8; 8] = *b"\x89WSFILE1";
const HEADER: usize = 16;
/// Files that are written to share this many locks.
const STRIPES: usize = 16;
/// How long a write waits for its lock, which is held for microseconds, unless its holder is frozen.
const PATIENCE: Duration = Duration::from_millis(250);
/// How many files each write looks at to find expired ones.
const SWEPT: usize = 4;
/// When a temporary file was left by a process that died.
const STRAY: Duration = Duration::from_secs(3600);

/// Values as files, shared by the processes of one machine without a server.
///
/// Each is written under a temporary name and then renamed, so that no reader sees a part of it.
/// Expired files are removed bit by bit by later writes.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    stripes: [Mutex<()>; STRIPES],
    sweep: Mutex<Sweep>,
}

/// How far the removal of expired files got.
#[derive(Debug, Default)]
struct Sweep {
    shard: u8,
    files: Option<ReadDir>,
}

impl Directory {
    /// Values in `values` below this path, which is created if need be.
    ///
    /// # Errors
    /// The path cannot be created.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().join("values");
        fs::create_dir_all(&path).map_err(|error| {
            let message = format!(
                "cannot create the directory {} for values: name a directory that this user may write to",
                path.display()
            );
            Error::new(ErrorKind::Setting, message).caused_by(error)
        })?;
        Ok(Self {
            path,
            stripes: Default::default(),
            sweep: Mutex::default(),
        })
    }

    fn file_of(&self, key: &Key) -> PathBuf {
        self.shard(key.digest()[0]).join(key.hex())
    }

    fn shard(&self, shard: u8) -> PathBuf {
        self.path.join(format!("{shard:02x}"))
    }

    /// Writes the entry if `allowed` says so of what stands there.
    fn write(
        &self,
        key: &Key,
        entry: &[u8],
        ttl: Duration,
        allowed: impl FnOnce(Option<&[u8]>) -> bool,
    ) -> Result<bool, Error> {
        let shard = key.digest()[0];
        let written = self.write_to(&self.file_of(key), shard, entry, ttl, allowed);
        self.sweep_some();
        written.map_err(|error| self.unusable("write", error))
    }

    fn write_to(
        &self,
        file: &Path,
        shard: u8,
        entry: &[u8],
        ttl: Duration,
        allowed: impl FnOnce(Option<&[u8]>) -> bool,
    ) -> io::Result<bool> {
        // What takes long comes before the lock.
        let temporary = self.write_temporary(shard, entry, ttl)?;
        let outcome = self.exclusively(shard).and_then(|_held| {
            if !allowed(beginning(file, now())?.as_deref()) {
                return Ok(false);
            }
            fs::rename(&temporary, file).map(|()| true)
        });
        if !matches!(outcome, Ok(true)) {
            let _ = fs::remove_file(&temporary);
        }
        outcome
    }

    fn write_temporary(&self, shard: u8, entry: &[u8], ttl: Duration) -> io::Result<PathBuf> {
        // Random even among processes of one id in several containers.
        let unique = RandomState::new().hash_one(std::process::id());
        let path = self.shard(shard).join(format!(".{unique:016x}"));
        let mut file = File::create(&path).or_else(|error| match error.kind() {
            NotFound => fs::create_dir_all(self.shard(shard)).and_then(|()| File::create(&path)),
            _ => Err(error),
        })?;
        let expires = now().saturating_add(micros(ttl));
        let header = [MAGIC, expires.to_le_bytes()].concat();
        match file.write_all(&header).and_then(|()| file.write_all(entry)) {
            Ok(()) => Ok(path),
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// Keeps other writers out, first those of this process and then those of others.
    fn exclusively(&self, shard: u8) -> io::Result<(File, MutexGuard<'_, ()>)> {
        let stripe = usize::from(shard) % STRIPES;
        let guard = lock(&self.stripes[stripe]);
        let path = self.path.join(format!("lock-{stripe:x}"));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok((file, guard)),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if begun.elapsed() > PATIENCE => {
                    return Err(io::Error::new(
                        io::ErrorKind::TimedOut,
                        "another process holds the write lock and does not go on",
                    ));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_micros(50)),
            }
        }
    }

    /// Looks at the next few files. One caller at a time: nobody waits for it.
    fn sweep_some(&self) {
        #[cfg(not(feature = "__shuttle"))]
        let Ok(mut sweep) = self.sweep.try_lock() else {
            return;
        };
        #[cfg(feature = "__shuttle")]
        let mut sweep = lock(&self.sweep);
        for _ in 0..SWEPT {
            let shard = sweep.shard;
            match sweep.files.as_mut().and_then(Iterator::next) {
                Some(Ok(file)) => self.sweep_file(&file.path(), shard),
                Some(Err(_)) => {}
                None => {
                    sweep.shard = shard.wrapping_add(1);
                    sweep.files = fs::read_dir(self.shard(sweep.shard)).ok();
                }
            }
        }
    }

    fn sweep_file(&self, file: &Path, shard: u8) {
        let temporary = file
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let old = || {
            fs::metadata(file)
                .and_then(|metadata| metadata.modified())
                .ok()?
                .elapsed()
                .ok()
        };
        let dead = || matches!(beginning(file, now()), Ok(None));
        if temporary {
            if old().is_some_and(|age| age > STRAY) {
                let _ = fs::remove_file(file);
            }
        } else if dead()
            && let Ok(_held) = self.exclusively(shard)
            // Somebody may have written it anew.
            && dead()
        {
            let _ = fs::remove_file(file);
        }
    }

    fn unusable(&self, what: &str, error: io::Error) -> Error {
        let path = self.path.display();
        Error::unavailable(format!(
            "cannot {what} a value file in {path}: it must exist, be writable for this user, and have space"
        ))
        .caused_by(error)
    }
}

impl Store for Directory {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        let read = |key| match fs::read(self.file_of(key)) {
            Ok(bytes) => Ok(time_left(&bytes, now()).map(|left| {
                Stored::new(Bytes::from(bytes).slice(HEADER..), look).with_time_left(left)
            })),
            Err(error) if error.kind() == NotFound => Ok(None),
            Err(error) => Err(self.unusable("read", error)),
        };
        Box::pin(ready(keys.iter().map(read).collect()))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(ready(
            self.write(key, &entry, ttl, |current| fence.allows(current)),
        ))
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(ready(self.write(key, &entry, ttl, |_| true).map(drop)))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        let temporary = self.write_temporary(0, &[], Duration::ZERO);
        let checked = temporary
            .and_then(fs::remove_file)
            .and_then(|()| self.exclusively(0));
        Box::pin(ready(
            checked
                .map(drop)
                .map_err(|error| self.unusable("write", error)),
        ))
    }
}

/// The first bytes of the entry in a file, as many as a fence compares; `None` if there is no entry
/// that is alive. A file that is not ours is none.
fn beginning(file: &Path, now: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(HEADER + Seen::LEN);
    match File::open(file) {
        Ok(file) => file
            .take((HEADER + Seen::LEN) as u64)
            .read_to_end(&mut bytes)?,
        Err(error) if error.kind() == NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(time_left(&bytes, now).map(|_| bytes.split_off(HEADER)))
}

/// How long the entry in a file has to live, if it is alive.
fn time_left(bytes: &[u8], now: u64) -> Option<Duration> {
    let (header, _) = bytes.split_first_chunk::<HEADER>()?;
    let (magic, expires) = header.split_at(MAGIC.len());
    let expires = u64::from_le_bytes(expires.try_into().ok()?);
    (magic == MAGIC && now < expires).then(|| Duration::from_micros(expires - now))
}

fn now() -> u64 {
    micros(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
