//! What every lock must do.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{Caller, Lock};
use crate::Key;
use crate::blocking::block_on;

/// Callers of each lock, one key: never two at once, and all of them come through.
pub(crate) fn excludes(locks: &[&dyn Lock], callers: usize, rounds: usize) {
    let (held, turns) = (AtomicBool::new(false), AtomicUsize::new(0));
    let key = Key::new("contended");
    let turn = |lock: &dyn Lock| {
        let mut waiter = None;
        let guard = loop {
            if let Some(guard) = block_on(lock.try_lock(&key, Caller::Outermost)).unwrap() {
                break guard;
            }
            match &mut waiter {
                None => waiter = Some(block_on(lock.register_waiter(&key)).unwrap()),
                Some(waiter) => drop(block_on(waiter.woken()).unwrap()),
            }
        };
        assert!(!held.swap(true, Ordering::SeqCst), "two holders at once");
        turns.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        held.store(false, Ordering::SeqCst);
        drop(guard);
    };
    thread::scope(|scope| {
        for &lock in locks.iter().cycle().take(locks.len() * callers) {
            scope.spawn(|| (0..rounds).for_each(|_| turn(lock)));
        }
    });
    assert_eq!(turns.into_inner(), locks.len() * callers * rounds);
}

/// One release wakes all, those included who did not sleep yet.
pub(crate) fn wakes_all(lock: &dyn Lock) {
    let key = Key::new("key");
    let guard = block_on(lock.try_lock(&key, Caller::Outermost))
        .unwrap()
        .unwrap();
    assert!(
        block_on(lock.try_lock(&key, Caller::Outermost))
            .unwrap()
            .is_none()
    );
    let mut late = block_on(lock.register_waiter(&key)).unwrap();
    let ready = Barrier::new(11);
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                let mut waiter = block_on(lock.register_waiter(&key)).unwrap();
                ready.wait();
                block_on(waiter.woken()).unwrap();
            });
        }
        ready.wait();
        drop(guard);
    });
    block_on(late.woken()).unwrap();
    // A lock that is granted to a future that is dropped is free again.
    drop(lock.try_lock(&key, Caller::Outermost));
    assert!(
        block_on(lock.try_lock(&key, Caller::Outermost))
            .unwrap()
            .is_some()
    );
}

pub(crate) fn only_its_key(lock: &dyn Lock) {
    let [one, other] = ["one", "other"].map(Key::new);
    let guard = block_on(lock.try_lock(&one, Caller::Outermost))
        .unwrap()
        .unwrap();
    let _held = block_on(lock.try_lock(&other, Caller::Outermost))
        .unwrap()
        .unwrap();
    let mut waiter = block_on(lock.register_waiter(&other)).unwrap();
    drop(guard);
    let mut woken = waiter.woken();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(
        woken.as_mut().poll(&mut context).is_pending(),
        "woken for another key"
    );
}
