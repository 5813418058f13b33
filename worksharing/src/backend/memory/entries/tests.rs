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
