use std::fmt;
use std::future::ready;
use std::time::Duration;

use bytes::Bytes;

use super::entries::Entries;
use crate::backend::clock::Clock;
use crate::store::{FENCE_LIFE, Fence, Look, Seen, Store, Stored};
use crate::sync::{Mutex, lock};
use crate::{BoxFuture, Error, Key};

/// Values in this process's memory, up to a number of bytes.
///
/// What has expired makes room first, then what was used least recently. Nothing that is younger than
/// [`FENCE_LIFE`] is evicted: where that would be needed, a put is an error, and its value is returned to its callers
/// without being stored.
pub struct Memory {
    entries: Mutex<Entries>,
    clock: Clock,
}

impl Memory {
    /// An empty store of 256 MiB.
    pub fn new() -> Self {
        Self::with_capacity(256 << 20)
    }

    /// An empty store of so many bytes, those included that it needs beside the entries, about 400 for each.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            entries: Mutex::new(Entries::new(bytes)),
            clock: Clock::default(),
        }
    }

    /// The same store by another clock.
    #[cfg(any(test, feature = "testing"))]
    pub fn with_clock(mut self, clock: &crate::testing::ManualClock) -> Self {
        self.clock = clock.into();
        self
    }

    fn look(&self, key: &Key, look: Look) -> Option<Stored> {
        let now = self.clock.now();
        let mut entries = lock(&self.entries);
        let entry = entries.get(key.digest(), now)?;
        let left = entry.expires.saturating_duration_since(now);
        Some(Stored::new(entry.bytes.clone(), look).with_time_left(left))
    }

    fn set(
        &self,
        key: &Key,
        entry: Bytes,
        ttl: Duration,
        allowed: impl FnOnce(Option<&[u8]>) -> bool,
    ) -> Result<bool, Error> {
        let now = self.clock.now();
        let mut entries = lock(&self.entries);
        let current = entries.get(key.digest(), now);
        if !allowed(current.map(|current| &current.bytes[..])) {
            return Ok(false);
        }
        let bytes = entry.len();
        if entries.set(*key.digest(), entry, ttl, now) {
            return Ok(true);
        }
        let (capacity, len) = (entries.capacity(), entries.len());
        Err(Error::unavailable(format!(
            "the store in memory has no room for {bytes} bytes: it has {len} entries in {capacity} bytes, and keeps each \
             for {FENCE_LIFE:?} at least; give it more by `.store(Memory::with_capacity(…))`"
        )))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = lock(&self.entries);
        f.debug_struct("Memory")
            .field("entries", &entries.len())
            .field("capacity", &entries.capacity())
            .finish()
    }
}

impl Store for Memory {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        let found = keys.iter().map(|key| self.look(key, look)).collect();
        Box::pin(ready(Ok(found)))
    }

    fn get_one<'a>(
        &'a self,
        key: &'a Key,
        look: Look,
    ) -> BoxFuture<'a, Result<Option<Stored>, Error>> {
        Box::pin(ready(Ok(self.look(key, look))))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        let own = Seen::of(Some(&entry));
        let allowed = |current: Option<&[u8]>| fence.allows(current) || Seen::of(current) == own;
        let stored = self.set(key, entry, ttl, allowed);
        Box::pin(ready(stored))
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        let stored = self.set(key, entry, ttl, |_| true);
        Box::pin(ready(stored.map(drop)))
    }

    fn keep<'a>(&'a self, keys: &'a [Key], ttl: Duration) -> BoxFuture<'a, Result<(), Error>> {
        let now = self.clock.now();
        let mut entries = lock(&self.entries);
        for key in keys {
            entries.keep(key.digest(), ttl, now);
        }
        Box::pin(ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ErrorKind;
    use crate::blocking::block_on;
    use crate::store::Seen;
    use crate::testing::{self, Clock as _, ManualClock};

    #[test]
    fn it_is_a_store() {
        let clock = ManualClock::new();
        testing::store::conformance(&Memory::new().with_clock(&clock), &clock);
        let shared: Arc<dyn Store> = Arc::new(Memory::new().with_clock(&clock));
        testing::store::conformance(&shared, &clock);
    }

    #[test]
    fn a_full_store_says_so_until_something_is_old_enough() {
        let clock = ManualClock::new();
        let store = Memory::with_capacity(10_000).with_clock(&clock);
        let entry = || Bytes::from(vec![1; 1_000]);
        let hour = Duration::from_secs(3600);
        let put = |name: &str| {
            let fence = Fence::new(Seen::of(None), None);
            block_on(store.put(&Key::new(name), entry(), hour, fence))
        };
        let full = (0..10).find_map(|n| put(&format!("key {n}")).err());
        let error = full.expect("ten do not fit");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(
            error.to_string().contains("Memory::with_capacity"),
            "{error}"
        );
        // What stands there may still be overwritten, by a tombstone for example.
        block_on(store.replace(&Key::new("key 0"), entry(), hour)).unwrap();
        clock.advance(FENCE_LIFE);
        assert!(put("another").unwrap());
    }
}
