//! What a worker does on command beside calling.

use std::os::unix::process::parent_id;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use worksharing::WorkSharing;
use worksharing::store::Memory;

use super::caller::runtime;
use super::tell::tell;
use super::{build, build_from};
use crate::plan::{Event, Setup};
use crate::soaking::Random;

/// Some calls with each of so many runtimes, one after the other.
pub(super) fn churn(setup: &Setup, runtimes: usize) -> Result<(), worksharing::Error> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    for _ in 0..runtimes {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let sharing = build(setup)?;
        let key = format!("of process {}, runtime {number}", process::id());
        let value = sharing.work(key).run_blocking(|| number);
        assert_eq!(value, number);
    }
    Ok(())
}

/// One caller holds the only key that may be held; the others queue behind it, and are dropped.
pub(super) fn give_up(setup: &Setup, callers: usize) -> Result<(), worksharing::Error> {
    let one = Setup {
        max_held_keys: Some(1),
        ..setup.clone()
    };
    let sharing = build_from(&one, WorkSharing::builder().store(Memory::new()))?;
    let (ours, is_held) = (sharing.clone(), Arc::new(AtomicBool::new(false)));
    let (told, ended) = (Arc::clone(&is_held), Arc::new(AtomicBool::new(false)));
    let end = Arc::clone(&ended);
    let holder = thread::spawn(move || {
        ours.work("the only one").run_blocking(|| {
            told.store(true, Ordering::SeqCst);
            while !end.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
        });
    });
    while !is_held.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(1));
    }
    let call = |number| {
        let work = sharing.work(format!("queues {number}"));
        Box::pin(async move { work.run(async || std::future::pending::<()>().await).await })
    };
    let mut calls: Vec<_> = (0..callers).map(call).collect();
    let mut context = Context::from_waker(Waker::noop());
    for call in &mut calls {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    drop(calls);
    ended.store(true, Ordering::SeqCst);
    holder.join().expect("it does not panic");
    // Queued behind whatever became of the others.
    sharing.work("afterwards").run_blocking(|| ());
    Ok(())
}

/// So many tasks call some keys and are aborted, at moments that differ.
pub(super) fn cancel(sharing: &WorkSharing, callers: usize) {
    const AT_ONCE: usize = 500;
    let mut random = Random::of(callers as u64);
    for _ in 0..callers.div_ceil(AT_ONCE) {
        let tasks: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let work = sharing.work(format!("cancelled {}", number % 50));
                let work = work.ttl(Duration::from_millis(20));
                let body = async || tokio::time::sleep(Duration::from_millis(20)).await;
                runtime().spawn(async move { work.run(body).await })
            })
            .collect();
        for task in tasks {
            if random.one_of(20) == 0 {
                thread::sleep(Duration::from_millis(1));
            }
            task.abort();
        }
    }
}

/// What a process that was forked off this one computes is told by that one. Both look at the same time.
pub(super) fn fork(sharing: &WorkSharing, key: &str) {
    const KEYS: usize = 100;
    let stored = |number: usize| sharing.work::<usize>(format!("{key}, {number}"));
    for number in 0..KEYS {
        stored(number).run_blocking(|| number);
    }
    let is_forked = parent_id() == 0;
    let looks = (0..20 * KEYS).map(|look| look % KEYS);
    let (mut missed, mut wrong) = (0, 0);
    for number in looks {
        match stored(number).peek_blocking() {
            None => missed += 1,
            Some(found) => wrong += usize::from(found != number),
        }
    }
    if is_forked {
        // It may have to do without what its parent has.
        let body = || format!("of process {}, with {wrong} wrong looks", process::id());
        tell(&Event::Peeked(Some(sharing.work(key).run_blocking(body))));
        process::exit(0);
    }
    let trouble = format!("{missed} looks of the parent missed, and {wrong} were wrong");
    tell(&Event::Checked((missed + wrong > 0).then_some(trouble)));
}
