//! What every store must do.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Clock;
use super::run::{dropped_at_each_poll, eventually, run, unique};
use crate::Key;
use crate::lock::LockGuard;
use crate::store::{Fence, Look, Seen, Store, Stored};

const HOUR: Duration = Duration::from_secs(3600);
/// Short, because a clock that cannot be turned is waited for.
const SHORT: Duration = Duration::from_millis(500);

/// Panics where a store does not do what [`Store`] asks for.
pub fn conformance(store: &dyn Store, clock: &dyn Clock) {
    run(store.check()).unwrap();
    gives_what_was_put(store);
    gives_several_at_once(store);
    keeps_any_bytes(store);
    gives_no_more_than_is_asked_for(store);
    tells_the_time_that_is_left(store, clock);
    expires(store, clock);
    lives_as_long_as_the_last(store, clock);
    takes_any_time(store);
    fences_a_put(store);
    fences_by_short_entries(store);
    recognizes_a_put_that_is_sent_again(store);
    lets_one_of_many_puts_win(store);
    survives_dropped_futures(store);
    debug_tells_nothing(store);
}

/// An entry with a random id where the crate's own entries have theirs.
fn entry(payload: &str) -> Bytes {
    let id = unique("id");
    let head = [b"magicWSE", &id.digest()[..]].concat();
    assert_eq!(head.len(), Seen::LEN);
    [&head, payload.as_bytes()].concat().into()
}

fn look(store: &dyn Store, key: &Key, look: Look) -> Option<Stored> {
    let one = run(store.get_one(key, look)).unwrap();
    let several = run(store.get(slice::from_ref(key), look)).unwrap();
    let [several] = &several[..] else {
        panic!("one key was asked for, {} were given", several.len());
    };
    let bytes = |found: &Option<Stored>| {
        found
            .as_ref()
            .map(|found| (found.bytes.clone(), found.whole))
    };
    assert_eq!(bytes(&one), bytes(several), "get_one differs from get");
    one
}

fn get(store: &dyn Store, key: &Key) -> Option<Bytes> {
    let found = run(store.get_one(key, Look::up_to(usize::MAX))).unwrap()?;
    assert!(found.whole);
    Some(found.bytes)
}

fn put(store: &dyn Store, key: &Key, entry: &Bytes, seen: Option<&[u8]>) -> bool {
    run(store.put(key, entry.clone(), HOUR, Fence::new(Seen::of(seen), None))).unwrap()
}

fn replace(store: &dyn Store, key: &Key, entry: &Bytes, ttl: Duration) {
    run(store.replace(key, entry.clone(), ttl)).unwrap();
}

fn gives_what_was_put(store: &dyn Store) {
    let [key, other] = ["key", "other"].map(unique);
    let one = entry("one");
    assert_eq!(get(store, &key), None);
    assert!(put(store, &key, &one, None));
    assert_eq!(get(store, &key), Some(one));
    assert_eq!(get(store, &other), None);
}

fn gives_several_at_once(store: &dyn Store) {
    let keys = ["one", "missing", "two"].map(unique);
    let [one, two] = ["one", "two"].map(entry);
    replace(store, &keys[0], &one, HOUR);
    replace(store, &keys[2], &two, HOUR);
    let asked: Vec<_> = keys.iter().chain([&keys[0]]).cloned().collect();
    let found = run(store.get(&asked, Look::up_to(usize::MAX).with_time_left())).unwrap();
    let bytes: Vec<_> = found
        .into_iter()
        .map(|found| found.map(|found| found.bytes))
        .collect();
    assert_eq!(bytes, [Some(one.clone()), None, Some(two), Some(one)]);
    assert_eq!(run(store.get(&[], Look::up_to(0))).unwrap(), []);
}

fn keeps_any_bytes(store: &dyn Store) {
    let key = unique("bytes");
    let all: Vec<u8> = (0..=255).collect();
    for bytes in [vec![0], vec![255; 23], all.clone(), all.repeat(4_096)] {
        let bytes = Bytes::from(bytes);
        replace(store, &key, &bytes, HOUR);
        assert!(get(store, &key) == Some(bytes), "other bytes came back");
    }
}

fn gives_no_more_than_is_asked_for(store: &dyn Store) {
    let key = unique("large");
    let large = entry(&"x".repeat(1_000));
    replace(store, &key, &large, HOUR);
    for max_bytes in [0, Seen::LEN, large.len() - 1] {
        let found = look(store, &key, Look::up_to(max_bytes)).expect("it is there");
        assert!(!found.whole, "{max_bytes}");
        assert!((Seen::LEN..=max_bytes.max(Seen::LEN)).contains(&found.bytes.len()));
        assert_eq!(found.bytes, large[..found.bytes.len()]);
    }
    let found = look(store, &key, Look::up_to(large.len())).expect("it is there");
    assert_eq!((found.bytes, found.whole), (large, true));
}

fn tells_the_time_that_is_left(store: &dyn Store, clock: &dyn Clock) {
    let key = unique("time left");
    let begun = Instant::now();
    let ttl = 4 * SHORT;
    replace(store, &key, &entry(""), ttl);
    let asked = Look::up_to(usize::MAX).with_time_left();
    let left = |look_for| look(store, &key, look_for)?.time_left;
    let first = left(asked).expect("it was asked for");
    assert!(first <= ttl, "{first:?} are left of {ttl:?}");
    // Some stores know whole milliseconds.
    let least = (ttl - SHORT / 50).saturating_sub(begun.elapsed());
    assert!(first >= least, "only {first:?} are left of {ttl:?}");
    clock.advance(SHORT);
    let second = left(asked).expect("it is there, and was asked for");
    assert!(second <= ttl - SHORT, "{second:?} are left after {SHORT:?}");
    let unasked = left(Look::up_to(usize::MAX));
    assert!(
        unasked.is_none_or(|left| left <= ttl - SHORT),
        "{unasked:?}"
    );
}

fn expires(store: &dyn Store, clock: &dyn Clock) {
    let key = unique("expiring");
    let begun = Instant::now();
    replace(store, &key, &entry("old"), SHORT);
    assert!(
        get(store, &key).is_some() || begun.elapsed() >= SHORT,
        "it expired early"
    );
    clock.advance(SHORT + SHORT / 10);
    assert_eq!(get(store, &key), None, "it did not expire");
    assert_eq!(
        run(store.get(slice::from_ref(&key), Look::up_to(0))).unwrap(),
        [None]
    );
    // It is no fence, either.
    let new = entry("new");
    assert!(put(store, &key, &new, None));
    assert_eq!(get(store, &key), Some(new));
}

fn lives_as_long_as_the_last(store: &dyn Store, clock: &dyn Clock) {
    let [longer, shorter] = ["longer", "shorter"].map(unique);
    let [old, new] = ["old", "new"].map(entry);
    replace(store, &longer, &old, SHORT);
    replace(store, &shorter, &old, HOUR);
    replace(store, &longer, &new, HOUR);
    replace(store, &shorter, &new, SHORT);
    clock.advance(SHORT + SHORT / 10);
    assert_eq!(get(store, &longer), Some(new));
    assert_eq!(get(store, &shorter), None);
}

fn takes_any_time(store: &dyn Store) {
    let key = unique("ages");
    // The flow gives ten years at the most.
    for ttl in [
        Duration::from_secs(10 * 366 * 24 * 3600),
        Duration::from_micros(1_500),
    ] {
        replace(store, &key, &entry(""), ttl);
        let asked = Look::up_to(usize::MAX).with_time_left();
        let left = look(store, &key, asked).and_then(|found| found.time_left);
        assert!(
            left.is_none_or(|left| left <= ttl + Duration::from_millis(1)),
            "{left:?}"
        );
    }
}

fn fences_a_put(store: &dyn Store) {
    let key = unique("fenced");
    let [one, two, three] = [(); 3].map(|()| entry("payload"));
    let vanished = put(store, &key, &one, Some(&three));
    assert!(vanished, "nothing there is no objection");
    let unseen = put(store, &key, &two, None);
    assert!(!unseen, "something came where nothing was seen");
    let other = put(store, &key, &two, Some(&three));
    assert!(!other, "something else was seen");
    assert_eq!(get(store, &key), Some(one.clone()));
    assert!(put(store, &key, &two, Some(&one)));
    replace(store, &key, &three, HOUR);
    assert!(!put(store, &key, &one, Some(&two)), "replaced since");
    assert_eq!(get(store, &key), Some(three));
}

fn fences_by_short_entries(store: &dyn Store) {
    let key = unique("short");
    let [one, two] = ["1", "2"].map(Bytes::from);
    replace(store, &key, &one, HOUR);
    assert!(!put(store, &key, &entry(""), Some(&two)));
    assert!(!put(store, &key, &entry(""), None));
    assert!(put(store, &key, &two, Some(&one)));
    assert_eq!(get(store, &key), Some(two));
}

/// Its answer was lost: what stands there is what it stored itself.
fn recognizes_a_put_that_is_sent_again(store: &dyn Store) {
    let key = unique("again");
    let [one, two] = ["one", "two"].map(entry);
    assert!(put(store, &key, &one, None));
    assert!(
        put(store, &key, &one, None),
        "it does not know its own entry"
    );
    assert!(put(store, &key, &two, Some(&one)));
    assert!(
        put(store, &key, &two, Some(&one)),
        "it does not know its own entry"
    );
    assert!(!put(store, &key, &one, None), "it was superseded");
    assert_eq!(get(store, &key), Some(two));
}

/// Of those who saw the same, one wins: else what they count would be lost.
fn lets_one_of_many_puts_win(store: &dyn Store) {
    let key = unique("counter");
    let won = AtomicUsize::new(0);
    let counted = |bytes: &[u8]| -> usize {
        str::from_utf8(&bytes[Seen::LEN..])
            .unwrap()
            .parse()
            .unwrap()
    };
    let count = || {
        for _ in 0..50 {
            let current = get(store, &key);
            let next = current.as_deref().map_or(0, counted) + 1;
            if put(store, &key, &entry(&next.to_string()), current.as_deref()) {
                won.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(count))));
    let last = counted(&get(store, &key).expect("somebody won"));
    assert_eq!(last, won.into_inner());
    assert!(last >= 50, "{last}");
}

/// The old entry or the new one stands there, and the fence is kept until that is settled.
fn survives_dropped_futures(store: &dyn Store) {
    let key = unique("dropped");
    dropped_at_each_poll(
        || {
            store.get(
                slice::from_ref(&key),
                Look::up_to(usize::MAX).with_time_left(),
            )
        },
        || assert_eq!(get(store, &key), None),
    );
    let replaced = entry("replaced");
    dropped_at_each_poll(
        || store.replace(&key, replaced.clone(), HOUR),
        || assert!(get(store, &key).is_none_or(|current| current == replaced)),
    );
    assert_eq!(get(store, &key), Some(replaced.clone()));
    let new = entry("new");
    let released = Arc::new(AtomicBool::new(false));
    dropped_at_each_poll(
        || {
            replace(store, &key, &replaced, HOUR);
            released.store(false, Ordering::SeqCst);
            let flag = Arc::clone(&released);
            let guard = LockGuard::new(move || flag.store(true, Ordering::SeqCst));
            let fence = Fence::new(Seen::of(Some(&replaced)), Some(Arc::new(guard)));
            store.put(&key, new.clone(), HOUR, fence)
        },
        || {
            eventually("a put lets go of its lock", || {
                released.load(Ordering::SeqCst)
            });
            let settled = get(store, &key);
            assert!([&replaced, &new].contains(&settled.as_ref().expect("one is there")));
            thread::sleep(Duration::from_millis(20));
            assert_eq!(
                get(store, &key),
                settled,
                "stored after its lock was released"
            );
        },
    );
    assert_eq!(get(store, &key), Some(new));
}

fn debug_tells_nothing(store: &dyn Store) {
    let key = unique("private");
    replace(store, &key, &entry("a secret"), HOUR);
    let told = format!("{store:?}");
    assert!(
        !told.contains(key.characteristic()) && !told.contains("a secret"),
        "{told}"
    );
}
