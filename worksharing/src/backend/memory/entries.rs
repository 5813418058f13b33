use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::store::FENCE_LIFE;

/// How many expired entries one operation removes at most. A put adds one, so two keep up.
const SWEPT: usize = 2;
/// How many entries one eviction spares at most, because they were used since they were looked at last.
const SPARED: usize = 16;
/// What an entry takes beside its bytes: its places in the map and the two sets, as measured with a million of them.
pub(super) const OVERHEAD: usize = 384;
/// Past what the clock's arithmetic minds.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

type Digest = [u8; 16];

/// Entries that take no more than so many bytes.
#[derive(Debug)]
pub(super) struct Entries {
    capacity: usize,
    bytes: usize,
    by_key: HashMap<Digest, Entry>,
    by_expiry: BTreeSet<(Instant, Digest)>,
    /// The order in which they are looked at for one to evict.
    by_turn: BTreeSet<(Instant, Digest)>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) bytes: Bytes,
    pub(super) expires: Instant,
    used: Instant,
    /// Not evicted before this: the end of its [`FENCE_LIFE`], later the last use that is known in `by_turn`.
    turn: Instant,
}

impl Entry {
    fn size(&self) -> usize {
        self.bytes.len().saturating_add(OVERHEAD)
    }
}

impl Entries {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            bytes: 0,
            by_key: HashMap::new(),
            by_expiry: BTreeSet::new(),
            by_turn: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn get(&mut self, digest: &Digest, now: Instant) -> Option<&Entry> {
        self.sweep(now);
        let entry = self.by_key.get_mut(digest)?;
        entry.used = now;
        (now < entry.expires).then_some(&*entry)
    }

    /// Whether there was room for it. If not, what stood there stays.
    pub(super) fn set(
        &mut self,
        digest: Digest,
        bytes: Bytes,
        ttl: Duration,
        now: Instant,
    ) -> bool {
        self.sweep(now);
        let entry = Entry {
            bytes,
            expires: now + ttl.min(LONGEST),
            used: now,
            turn: now + FENCE_LIFE,
        };
        let old = self.remove(&digest);
        let fits = self.make_room(entry.size(), now);
        if let Some(entry) = if fits { Some(entry) } else { old } {
            self.bytes += entry.size();
            self.by_expiry.insert((entry.expires, digest));
            self.by_turn.insert((entry.turn, digest));
            self.by_key.insert(digest, entry);
        }
        fits
    }

    /// Keeps what stands there for at least so long from now on.
    pub(super) fn keep(&mut self, digest: &Digest, ttl: Duration, now: Instant) {
        let Some(entry) = self.by_key.get_mut(digest) else {
            return;
        };
        let expires = now + ttl.min(LONGEST);
        if now < entry.expires && entry.expires < expires {
            self.by_expiry.remove(&(entry.expires, *digest));
            self.by_expiry.insert((expires, *digest));
            entry.expires = expires;
        }
    }

    fn remove(&mut self, digest: &Digest) -> Option<Entry> {
        let entry = self.by_key.remove(digest)?;
        self.bytes -= entry.size();
        self.by_expiry.remove(&(entry.expires, *digest));
        self.by_turn.remove(&(entry.turn, *digest));
        Some(entry)
    }

    fn sweep(&mut self, now: Instant) {
        for _ in 0..SWEPT {
            let Some(digest) = self.expired(now) else {
                return;
            };
            self.remove(&digest);
        }
    }

    fn expired(&self, now: Instant) -> Option<Digest> {
        let &(expires, digest) = self.by_expiry.first()?;
        (expires <= now).then_some(digest)
    }

    /// Evicts until there is room for so many bytes.
    fn make_room(&mut self, size: usize, now: Instant) -> bool {
        if size > self.capacity {
            return false;
        }
        while self.capacity - size < self.bytes {
            let Some(digest) = self.expired(now).or_else(|| self.least_recently_used(now)) else {
                return false;
            };
            self.remove(&digest);
        }
        true
    }

    /// The entry whose turn it is, once it is [`FENCE_LIFE`] old. A use does not move it, as that would cost every
    /// hit: it is moved when it is its turn. Where very many were used, that is not done for all of them at once.
    fn least_recently_used(&mut self, now: Instant) -> Option<Digest> {
        for spared in 0.. {
            let &(turn, digest) = self.by_turn.first()?;
            if turn > now {
                break;
            }
            let entry = self.by_key.get_mut(&digest)?;
            if entry.used <= turn || spared == SPARED {
                return Some(digest);
            }
            entry.turn = entry.used;
            self.by_turn.pop_first();
            self.by_turn.insert((entry.turn, digest));
        }
        None
    }
}

#[cfg(test)]
mod tests;
