//! What is computed, written into the lock files; and who waits, by files beside them that are locked for as long.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::future::ready;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::files;
use super::lock::Files;
use crate::background::{self, Timer};
use crate::computing::{Board, Computation, Notice, Posted, host};
use crate::sync::{Mutex, lock};
use crate::{BoxFuture, Error, Key};

/// The first line of a lock file that somebody has written to.
const FORM: &str = "worksharing 1";
/// No more of a file is read.
const MOST: u64 = 8 << 10;
/// Who has waited for so long is counted among those who wait.
const LASTS: Duration = Duration::from_secs(1);
/// A file of somebody who waited, and is gone, is removed after this.
const FORGOTTEN: Duration = Duration::from_secs(60);

impl Board for Files {
    fn publish(&self, notices: Vec<Notice>) {
        for notice in notices {
            // Once it is released its file is gone, or somebody else's: what is written to this one is seen by nobody.
            if let Some(file) = self.held_file(notice.key.digest()) {
                let written = (&*file).write_all(written(&notice).as_bytes());
                if let Err(error) = written {
                    tracing::debug!(%error, "housekeeping failed");
                }
            }
        }
    }

    // It is gone with the file, or emptied by whoever takes that.
    fn withdraw(&self, _notice: Notice) {}

    fn read(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Posted, Error>> {
        Box::pin(ready(
            self.posted(&keys).map_err(|error| self.unusable(error)),
        ))
    }
}

impl Files {
    fn posted(&self, keys: &[Key]) -> io::Result<Posted> {
        let waiting = waiting(self.waiting())?;
        let of = |hex: &str| waiting.get(hex).copied().unwrap_or_default();
        let mut computations = Vec::new();
        for entry in entries(self.path())? {
            let Some((id, mut computation)) = posted(&entry.path()) else {
                continue;
            };
            computation.waiting = entry.file_name().to_str().map(of).unwrap_or_default();
            computations.push((id, computation));
        }
        let waiting = keys.iter().map(|key| of(&key.hex())).collect();
        Ok(Posted {
            computations,
            waiting,
        })
    }
}

/// What is in a directory; nothing, where it has been cleaned away.
fn entries(path: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(path) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn written(notice: &Notice) -> String {
    let since = SystemTime::now().checked_sub(notice.begun.elapsed());
    let since = since.and_then(|since| since.duration_since(SystemTime::UNIX_EPOCH).ok());
    let (process, host) = (std::process::id(), host());
    format!(
        "{FORM}\n{}\n{}\n{process}\n{}\n{}\n{}",
        notice.id,
        since.unwrap_or_default().as_micros(),
        host.replace('\n', " "),
        notice.function.replace('\n', " "),
        notice.text(),
    )
}

/// What its holder wrote into a lock file, if it lives.
fn posted(path: &Path) -> Option<(i64, Computation)> {
    let file = files::options().read(true).open(path).ok()?;
    let mut text = String::new();
    (&file).take(MOST).read_to_string(&mut text).ok()?;
    let found = parsed(&text)?;
    is_locked(&file).then_some(found)
}

fn parsed(text: &str) -> Option<(i64, Computation)> {
    let mut lines = text.strip_prefix(FORM)?.strip_prefix('\n')?.splitn(6, '\n');
    let mut line = || lines.next();
    let (id, since) = (line()?.parse().ok()?, line()?.parse().ok()?);
    let (process, host) = (line()?.parse().ok()?, line()?);
    let (function, key) = (line()?, line()?);
    let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(since))?;
    let age = since.elapsed().unwrap_or_default();
    Some((id, Computation::new(key, function, process, host, age)))
}

/// Asking takes the lock shared for a moment, if it is free.
fn is_locked(file: &File) -> bool {
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// How many wait for each key that somebody waits for.
fn waiting(path: &Path) -> io::Result<HashMap<String, u32>> {
    let mut waiting = HashMap::new();
    for entry in entries(path)? {
        let name = entry.file_name();
        let Some((hex, _)) = name.to_str().and_then(|name| name.split_once('-')) else {
            continue;
        };
        let path = entry.path();
        let Ok(file) = files::options().read(true).open(&path) else {
            continue;
        };
        if is_locked(&file) {
            *waiting.entry(hex.to_owned()).or_default() += 1;
        } else if is_old(&entry) {
            // A young one may be about to be locked.
            let _ = fs::remove_file(&path);
        }
    }
    Ok(waiting)
}

fn is_old(entry: &fs::DirEntry) -> bool {
    let written = entry.metadata().and_then(|metadata| metadata.modified());
    written.is_ok_and(|written| written.elapsed().is_ok_and(|age| age > FORGOTTEN))
}

/// That this process waits for a key: shown to others once it has waited for a while, until this is dropped.
pub(super) struct Shown {
    file: Arc<Mutex<Option<(PathBuf, File)>>>,
    _timer: Timer,
}

impl Shown {
    /// In a file of this name.
    pub(super) fn later(path: PathBuf) -> Self {
        let file = Arc::<Mutex<_>>::default();
        let slot = Arc::downgrade(&file);
        let show = move || {
            if let Some(slot) = slot.upgrade() {
                let mut slot = lock(&slot);
                *slot = locked(&path).ok().map(|file| (path, file));
            }
        };
        Self {
            file,
            _timer: background::timer(LASTS, show),
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some((path, file)) = lock(&self.file).take() {
            let _ = fs::remove_file(path);
            drop(file);
        }
    }
}

fn locked(path: &Path) -> io::Result<File> {
    let mut options = files::options();
    let file = options.read(true).write(true).create_new(true).open(path)?;
    file.try_lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let begun = Instant::now();
        let key = Key::new("a key\nof two lines, é");
        let notice = Notice {
            id: -7,
            key,
            function: "module::function",
            begun,
        };
        let (id, found) = parsed(&written(&notice)).unwrap();
        assert_eq!(id, -7);
        assert_eq!(found.key, "a key\nof two lines, é");
        assert_eq!(found.function, "module::function");
        assert_eq!(found.process, std::process::id());
        assert_eq!(found.host, host());
    }

    #[test]
    fn what_others_wrote_is_passed_over() {
        let halves =
            (0..FORM.len() + 8).map(|end| "worksharing 1\n5\n1\n2\nh\nf\nk"[..end].to_owned());
        for text in halves.chain(["x".to_owned(), "worksharing 2\n1\n2\n3\n4\n5\n6".to_owned()]) {
            assert!(parsed(&text).is_none(), "{text:?}");
        }
    }
}
