use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::ready;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::store::{Fence, Look, Store, Stored};
use crate::sync::{Mutex, lock};
use crate::{BoxFuture, Error, Key};

/// How many expired entries one operation removes at most. A put adds one, so two keep up.
const SWEPT: usize = 2;
/// Past what the clock's arithmetic minds.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Values in this process's memory.
///
/// There is no bound but the time to live: an expired entry is given to nobody, and is removed by
/// later operations on the store.
#[derive(Default)]
pub struct Memory(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    by_key: HashMap<[u8; 16], (Bytes, Instant)>,
    by_expiry: BTreeSet<(Instant, [u8; 16])>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("entries", &lock(&self.0).by_key.len())
            .finish()
    }
}

impl Entries {
    fn get(&mut self, digest: &[u8; 16], now: Instant) -> Option<(&Bytes, Instant)> {
        self.sweep(now);
        let (entry, expires) = self.by_key.get(digest)?;
        (now < *expires).then_some((entry, *expires))
    }

    fn set(&mut self, digest: [u8; 16], entry: Bytes, ttl: Duration, now: Instant) {
        self.sweep(now);
        let expires = now + ttl.min(LONGEST);
        if let Some((_, old)) = self.by_key.insert(digest, (entry, expires)) {
            self.by_expiry.remove(&(old, digest));
        }
        self.by_expiry.insert((expires, digest));
    }

    fn sweep(&mut self, now: Instant) {
        for _ in 0..SWEPT {
            match self.by_expiry.first() {
                Some(&(expires, digest)) if expires <= now => {
                    self.by_expiry.pop_first();
                    self.by_key.remove(&digest);
                }
                _ => return,
            }
        }
    }
}

impl Store for Memory {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        let now = Instant::now();
        let mut entries = lock(&self.0);
        let found = keys.iter().map(|key| {
            let (entry, expires) = entries.get(key.digest(), now)?;
            let left = expires.saturating_duration_since(now);
            Some(Stored::new(entry.clone(), look).with_time_left(left))
        });
        Box::pin(ready(Ok(found.collect())))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        let now = Instant::now();
        let mut entries = lock(&self.0);
        let allowed = fence.allows(
            entries
                .get(key.digest(), now)
                .map(|(current, _)| &current[..]),
        );
        if allowed {
            entries.set(*key.digest(), entry, ttl, now);
        }
        Box::pin(ready(Ok(allowed)))
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        lock(&self.0).set(*key.digest(), entry, ttl, Instant::now());
        Box::pin(ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn expired_entries_are_gone_and_are_swept() {
        let start = Instant::now();
        let mut entries = Entries::default();
        for n in 0..100u8 {
            entries.set([n; 16], Bytes::from_static(b"x"), SECOND, start);
        }
        assert!(entries.get(&[7; 16], start + SECOND / 2).is_some());
        assert_eq!(entries.by_key.len(), 100);
        assert!(entries.get(&[7; 16], start + SECOND).is_none());
        for _ in 0..50 {
            entries.get(&[200; 16], start + SECOND);
        }
        assert_eq!((entries.by_key.len(), entries.by_expiry.len()), (0, 0));
    }

    #[test]
    fn an_overwritten_entry_lives_as_long_as_the_new_one() {
        let start = Instant::now();
        let mut entries = Entries::default();
        entries.set([1; 16], Bytes::from_static(b"old"), SECOND, start);
        entries.set([1; 16], Bytes::from_static(b"new"), 3 * SECOND, start);
        assert_eq!(entries.get(&[1; 16], start + 2 * SECOND).unwrap().0, "new");
        assert_eq!(entries.by_expiry.len(), 1);
    }
}
