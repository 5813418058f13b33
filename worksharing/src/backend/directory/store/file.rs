//! A value file: a mark, when it was put (µs since 1970, little-endian), for how long (µs), the entry.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, ErrorKind::NotFound, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::files;
use crate::store::{Look, Seen, Stored};

const MAGIC: [u8; 8] = *b"\x89WSFILE2";
const HEADER: usize = 24;
/// How much is read or written at a time: in well under the 10 ms that a thread may be blocked.
const PART: usize = 256 << 10;
/// How far the clock of whoever wrote may be ahead. Beyond that it was wrong, and so may be what it says.
const AHEAD: Duration = Duration::from_secs(1);

pub(super) fn header(now: SystemTime, ttl: Duration) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..16].copy_from_slice(&micros(since_1970(now)).to_le_bytes());
    header[16..].copy_from_slice(&micros(ttl).to_le_bytes());
    header
}

/// Writes an entry of any size, and lets other futures of this thread go on in between.
pub(super) async fn write(file: &mut File, entry: &[u8]) -> io::Result<()> {
    let mut parts = entry.chunks(PART).peekable();
    while let Some(part) = parts.next() {
        file.write_all(part)?;
        if parts.peek().is_some() {
            yield_now().await;
        }
    }
    Ok(())
}

/// What a file holds, if it is alive. Of an entry that is larger than asked for only the beginning is read. Other
/// futures of this thread go on in between.
pub(super) async fn read(path: &Path, look: Look, now: SystemTime) -> io::Result<Option<Stored>> {
    let Some(mut reading) = Reading::open(path, look)? else {
        return Ok(None);
    };
    while reading.part()? && time_left(&reading.bytes, now).is_some() {
        yield_now().await;
    }
    Ok(reading.stored(now))
}

/// The first bytes of the entry in a file, as many as a fence compares; `None` if there is no entry
/// that is alive. A file that is not ours is none.
pub(super) fn beginning(path: &Path, now: SystemTime) -> io::Result<Option<Bytes>> {
    let Some(mut reading) = Reading::open(path, Look::up_to(0))? else {
        return Ok(None);
    };
    reading.part()?;
    Ok(reading.stored(now).map(|stored| stored.bytes))
}

/// Keeps the entry in a file for at least so long from now on, if there is one that is alive. Its header is changed
/// where it stands: a reader finds the one or the other.
pub(super) fn keep(path: &Path, ttl: Duration, now: SystemTime) -> io::Result<()> {
    let mut file = match files::options().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == NotFound || files::is_link(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut bytes = [0; HEADER];
    if file.read_exact(&mut bytes).is_err() {
        return Ok(());
    }
    if time_left(&bytes, now).is_some_and(|left| left < ttl) {
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header(now, ttl))?;
    }
    Ok(())
}

struct Reading {
    file: File,
    bytes: Vec<u8>,
    wanted: usize,
    whole: bool,
}

impl Reading {
    fn open(path: &Path, look: Look) -> io::Result<Option<Self>> {
        let file = match files::options().read(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == NotFound || files::is_link(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let whole = len.saturating_sub(HEADER) <= look.max_bytes;
        let wanted = if whole { len } else { HEADER + Seen::LEN };
        let mut bytes = Vec::new();
        let reserved = bytes.try_reserve_exact(wanted);
        reserved.map_err(|_| io::ErrorKind::OutOfMemory)?;
        Ok(Some(Self {
            file,
            bytes,
            wanted,
            whole,
        }))
    }

    /// Reads a part. Whether there is another.
    fn part(&mut self) -> io::Result<bool> {
        let missing = self.wanted - self.bytes.len();
        let mut part = (&self.file).take(missing.min(PART) as u64);
        let read = part.read_to_end(&mut self.bytes)?;
        Ok(read == PART && read < missing)
    }

    fn stored(self, now: SystemTime) -> Option<Stored> {
        let left = time_left(&self.bytes, now)?;
        let bytes = Bytes::from(self.bytes).slice(HEADER..);
        let mut stored = Stored::new(bytes, Look::up_to(usize::MAX)).with_time_left(left);
        stored.whole = self.whole;
        Some(stored)
    }
}

/// Lets other futures of this thread go on.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// How long the entry in a file has to live, if it is alive.
fn time_left(bytes: &[u8], now: SystemTime) -> Option<Duration> {
    let (header, _) = bytes.split_first_chunk::<HEADER>()?;
    let number = |at: usize| Some(u64::from_le_bytes(header[at..at + 8].try_into().ok()?));
    let (put, ttl) = (number(8)?, number(16)?);
    let now = micros(since_1970(now));
    if header[..8] != MAGIC || put > now.saturating_add(micros(AHEAD)) {
        return None;
    }
    let left = ttl.saturating_sub(now.saturating_sub(put));
    (left > 0).then(|| Duration::from_micros(left))
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    fn left(put: SystemTime, ttl: Duration, now: SystemTime) -> Option<Duration> {
        time_left(&header(put, ttl), now)
    }

    #[test]
    fn no_clock_lets_an_entry_live_longer_than_its_time() {
        let now = UNIX_EPOCH + 500_000 * HOUR;
        assert_eq!(left(now, HOUR, now), Some(HOUR));
        assert_eq!(left(now, HOUR, now + HOUR / 2), Some(HOUR / 2));
        assert_eq!(left(now, HOUR, now + HOUR), None);
        // Clocks that are a little apart.
        assert_eq!(left(now + SECOND / 2, HOUR, now), Some(HOUR));
        // Written by a clock that was ahead.
        assert_eq!(left(now + 2 * SECOND, HOUR, now), None);
        assert_eq!(left(now + HOUR, HOUR, now), None);
        assert_eq!(
            left(UNIX_EPOCH - HOUR, Duration::MAX, now).map(|left| left > HOUR),
            Some(true)
        );
        let made_up = [&MAGIC[..], &[255; 16]].concat();
        assert_eq!(time_left(&made_up, now), None);
        assert_eq!(time_left(&made_up[..23], now), None);
    }
}
