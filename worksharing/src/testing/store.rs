//! What every store must do.

mod fencing;
mod time;

use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::Clock;
use super::run::{dropped_at_each_poll, run, unique};
use crate::Key;
use crate::lock::LockGuard;
use crate::store::{Fence, Look, Seen, Store, Stored};

const HOUR: Duration = Duration::from_secs(3600);

/// Panics where a store does not do what [`Store`] asks for.
pub fn conformance(store: &dyn Store, clock: &dyn Clock) {
    run(store.check()).unwrap();
    gives_what_was_put(store);
    gives_several_at_once(store);
    keeps_any_bytes(store);
    gives_no_more_than_is_asked_for(store);
    time::tells_the_time_that_is_left(store, clock);
    time::expires(store, clock);
    time::lives_as_long_as_the_last(store, clock);
    time::takes_any_time(store);
    time::keeps_for_longer(store, clock);
    fencing::fences_a_put(store);
    fencing::fences_by_short_entries(store);
    fencing::recognizes_a_put_that_is_sent_again(store);
    fencing::lets_one_of_many_puts_win(store);
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

/// The old entry or the new one stands there, and the fence is kept until that is settled: when it was flushed.
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
            let fence = Fence::new(Seen::of(Some(&replaced)), Some(guard));
            store.put(&key, new.clone(), HOUR, fence)
        },
        || {
            run(store.flush()).unwrap();
            assert!(
                released.load(Ordering::SeqCst),
                "a lock is kept after a flush"
            );
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
