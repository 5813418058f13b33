//! What every lock must do.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::run::{dropped_at_each_poll, eventually, is_pending, run, unique};
use crate::Key;
use crate::lock::{Caller, Lock, LockGuard};

/// Panics where a lock does not do what [`Lock`] asks for. Several locks are several processes' ways to one lock
/// server: they must exclude each other.
pub fn conformance(locks: &[&dyn Lock]) {
    let first = locks[0];
    run(first.check()).unwrap();
    excludes(locks, 4, 25);
    for &other in locks {
        assert_eq!(first.scope(), other.scope(), "they exclude on the same");
        is_busy_until_released(first, other);
        wakes_all(first, other);
        flushes_releases(first, other);
    }
    wakes_for_its_key_only(first);
    holds_many_keys(first);
    survives_dropped_futures(first);
    debug_tells_no_key(first);
}

fn try_lock(lock: &dyn Lock, key: &Key) -> Option<LockGuard> {
    run(lock.try_lock(key, Caller::Outermost)).unwrap()
}

/// A release is queued, so another connection may see it a little later.
fn takes(lock: &dyn Lock, key: &Key) -> LockGuard {
    let mut guard = None;
    eventually("a free key is locked", || {
        guard = try_lock(lock, key);
        guard.is_some()
    });
    guard.expect("it is locked")
}

/// Waits as the flow does.
fn turn(lock: &dyn Lock, key: &Key) -> LockGuard {
    let mut waiter = None;
    loop {
        if let Some(guard) = try_lock(lock, key) {
            return guard;
        }
        match &mut waiter {
            None => waiter = Some(run(lock.register_waiter(key)).unwrap()),
            Some(waiter) => {
                if let Some(guard) = run(waiter.woken()).unwrap() {
                    return guard;
                }
            }
        }
    }
}

/// Callers of each lock, one key: never two at once, and all of them come through.
pub(crate) fn excludes(locks: &[&dyn Lock], callers: usize, rounds: usize) {
    let (held, turns) = (AtomicBool::new(false), AtomicUsize::new(0));
    let key = unique("contended");
    let one_turn = |lock: &dyn Lock| {
        let guard = turn(lock, &key);
        assert!(!held.swap(true, Ordering::SeqCst), "two holders at once");
        turns.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        held.store(false, Ordering::SeqCst);
        drop(guard);
    };
    thread::scope(|scope| {
        for &lock in locks.iter().cycle().take(locks.len() * callers) {
            scope.spawn(move || (0..rounds).for_each(|_| one_turn(lock)));
        }
    });
    assert_eq!(turns.into_inner(), locks.len() * callers * rounds);
}

fn is_busy_until_released(holder: &dyn Lock, other: &dyn Lock) {
    let key = unique("busy");
    let guard = takes(holder, &key);
    for lock in [holder, other] {
        let again = run(lock.try_lock(&key, Caller::Nested)).unwrap();
        assert!(again.is_none(), "a held key is locked again");
    }
    // A guard may end on another thread.
    thread::spawn(move || drop(guard)).join().unwrap();
    drop(takes(other, &key));
}

/// What is released is free, for another process too, once that is flushed: so the holder's may end then.
fn flushes_releases(holder: &dyn Lock, other: &dyn Lock) {
    let key = unique("flushed");
    let is_free = || {
        run(holder.flush()).unwrap();
        let taken = try_lock(other, &key);
        assert!(
            taken.is_some(),
            "a key is held after its release was flushed"
        );
        // The next one takes it anew.
        drop(taken);
        run(other.flush()).unwrap();
    };
    let guard = takes(holder, &key);
    drop(guard);
    is_free();
    dropped_at_each_poll(|| holder.try_lock(&key, Caller::Outermost), is_free);
}

/// One release is heard by all, those included who do not sleep yet. A lock that is handed over is released again.
fn wakes_all(holder: &dyn Lock, other: &dyn Lock) {
    let key = unique("awaited");
    let guard = takes(holder, &key);
    let ready = Barrier::new(11);
    thread::scope(|scope| {
        for number in 0..10 {
            let (key, ready) = (&key, &ready);
            scope.spawn(move || {
                let mut waiter = run(other.register_waiter(key)).unwrap();
                ready.wait();
                thread::sleep(Duration::from_millis(10) * (number % 2));
                drop(run(waiter.woken()).unwrap());
            });
        }
        ready.wait();
        drop(guard);
    });
    drop(takes(other, &key));
}

fn wakes_for_its_key_only(lock: &dyn Lock) {
    let [one, other] = ["one", "other"].map(unique);
    let guard = takes(lock, &one);
    let _held = takes(lock, &other);
    let mut waiter = run(lock.register_waiter(&other)).unwrap();
    drop(guard);
    assert!(is_pending(waiter.woken()), "woken for another key");
}

fn holds_many_keys(lock: &dyn Lock) {
    let keys: Vec<_> = (0..100).map(|n| unique(&format!("key {n}"))).collect();
    let guards: Vec<_> = keys.iter().map(|key| takes(lock, key)).collect();
    for key in &keys {
        assert!(try_lock(lock, key).is_none(), "a held key is locked again");
    }
    drop(guards);
    keys.iter().for_each(|key| drop(takes(lock, key)));
}

/// What is granted to a future that is dropped is free again, and what wakes it is not lost for others.
fn survives_dropped_futures(lock: &dyn Lock) {
    let key = unique("dropped");
    let free = || drop(takes(lock, &key));
    dropped_at_each_poll(|| lock.try_lock(&key, Caller::Outermost), free);
    let held = takes(lock, &key);
    dropped_at_each_poll(|| lock.register_waiter(&key), || {});
    let mut impatient = run(lock.register_waiter(&key)).unwrap();
    let mut patient = run(lock.register_waiter(&key)).unwrap();
    assert!(is_pending(impatient.woken()), "woken while it is held");
    drop(held);
    // The same interest again: the release is not lost with the future that waited for it.
    drop(run(impatient.woken()).unwrap());
    drop(impatient);
    drop(run(patient.woken()).unwrap());
    drop(patient);
    free();
}

fn debug_tells_no_key(lock: &dyn Lock) {
    let key = unique("private");
    let guard = takes(lock, &key);
    let told = format!("{lock:?} {guard:?}");
    assert!(!told.contains(key.characteristic()), "{told}");
}
