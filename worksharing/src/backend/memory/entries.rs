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
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    /// Room for ten entries of a byte.
    fn ten() -> (Entries, Instant) {
        (Entries::new(10 * (OVERHEAD + 1)), Instant::now())
    }

    fn set(entries: &mut Entries, n: u8, ttl: Duration, now: Instant) -> bool {
        let fits = entries.set([n; 16], Bytes::from_static(b"x"), ttl, now);
        let sizes: usize = entries.by_key.values().map(Entry::size).sum();
        assert_eq!(entries.bytes, sizes);
        assert!(sizes <= entries.capacity);
        let lengths = [entries.by_expiry.len(), entries.by_turn.len()];
        assert_eq!(lengths, [entries.len(); 2]);
        fits
    }

    fn left(entries: &Entries) -> Vec<u8> {
        let mut left: Vec<_> = entries.by_key.keys().map(|digest| digest[0]).collect();
        left.sort_unstable();
        left
    }

    #[test]
    fn expired_entries_are_gone_and_are_swept() {
        let start = Instant::now();
        let mut entries = Entries::new(usize::MAX);
        (0..100).for_each(|n| assert!(set(&mut entries, n, SECOND, start)));
        assert!(entries.get(&[7; 16], start + SECOND / 2).is_some());
        assert_eq!(entries.len(), 100);
        assert!(entries.get(&[7; 16], start + SECOND).is_none());
        for _ in 0..50 {
            entries.get(&[200; 16], start + SECOND);
        }
        assert_eq!((entries.len(), entries.bytes), (0, 0));
    }

    #[test]
    fn an_overwritten_entry_lives_as_long_as_the_new_one() {
        let (mut entries, start) = ten();
        set(&mut entries, 1, SECOND, start);
        set(&mut entries, 1, 3 * SECOND, start);
        assert!(entries.get(&[1; 16], start + 2 * SECOND).is_some());
        assert_eq!(left(&entries), [1]);
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let (mut entries, start) = ten();
        (0..10).for_each(|n| assert!(set(&mut entries, n, HOUR, start + SECOND * n.into())));
        let later = start + 60 * SECOND;
        for n in [3, 0, 1] {
            entries.get(&[n; 16], later + SECOND * n.into());
        }
        let last = later + 20 * SECOND;
        (20..27).for_each(|n| assert!(set(&mut entries, n, HOUR, last)));
        assert_eq!(left(&entries), [0, 1, 3, 20, 21, 22, 23, 24, 25, 26]);
        assert!(set(&mut entries, 30, HOUR, last));
        assert_eq!(left(&entries)[..2], [1, 3], "of those that were used, too");
    }

    #[test]
    fn nothing_younger_than_a_fence_lives_is_evicted() {
        let (mut entries, start) = ten();
        (0..10).for_each(|n| assert!(set(&mut entries, n, HOUR, start)));
        let just_before = start + FENCE_LIFE - SECOND / 1000;
        assert!(!set(&mut entries, 10, HOUR, just_before));
        assert!(
            set(&mut entries, 9, HOUR, just_before),
            "nothing is taken away"
        );
        assert_eq!(left(&entries), Vec::from_iter(0..10));
        // An old one goes, though a younger one stands before it.
        assert!(set(&mut entries, 10, HOUR, start + FENCE_LIFE));
        assert!(left(&entries).contains(&9));
        // What cannot fit moves nothing.
        let large = Bytes::from(vec![0; entries.capacity]);
        assert!(!entries.set([9; 16], large, HOUR, start + HOUR / 2));
        assert_eq!(entries.len(), 10);
    }

    #[test]
    fn what_has_expired_goes_before_what_was_used_long_ago() {
        let (mut entries, start) = ten();
        (0..5).for_each(|n| assert!(set(&mut entries, n, HOUR, start)));
        let later = start + 60 * SECOND;
        (5..10).for_each(|n| assert!(set(&mut entries, n, 20 * SECOND, later)));
        // It needs more than an operation sweeps anyway.
        let four = Bytes::from(vec![0; 3 * OVERHEAD]);
        assert!(entries.set([99; 16], four, HOUR, later + 30 * SECOND));
        assert_eq!(left(&entries), [0, 1, 2, 3, 4, 9, 99]);
    }

    #[test]
    fn few_are_moved_at_a_time_though_all_were_used() {
        let start = Instant::now();
        let mut entries = Entries::new(250 * (OVERHEAD + 1));
        (0..250).for_each(|n| assert!(set(&mut entries, n, HOUR, start)));
        let later = start + 60 * SECOND;
        (0..250).for_each(|n| assert!(entries.get(&[n; 16], later).is_some()));
        assert!(set(&mut entries, 251, HOUR, later));
        let moved = entries.by_turn.iter().filter(|(turn, _)| *turn == later);
        assert_eq!(moved.count(), SPARED);
    }
}
