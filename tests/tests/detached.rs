//! Computations that belong to the runtime: where they run, what becomes of them when that ends, how many there are at
//! a time, and that none waits for itself.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use tests::{Servers, ends_within, wait_until};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use worksharing::store::Memory;
use worksharing::testing::{Clock as _, ManualClock};
use worksharing::{BoxFuture, Builder, WorkSharing};

const LIMIT: Duration = Duration::from_secs(60);

/// A runtime, and how many tasks it has spawned.
fn counting(builder: Builder) -> (WorkSharing, Arc<AtomicUsize>) {
    let spawned = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&spawned);
    let builder = builder.spawner(move |task| {
        count.fetch_add(1, SeqCst);
        tokio::spawn(task);
    });
    (builder.build().unwrap(), spawned)
}

fn two_threads() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

// ---- Where it runs ends.

#[test]
fn caller_goes_on_with_what_a_runtime_that_is_shut_down_leaves() {
    let (ours, doomed) = (two_threads(), two_threads());
    let theirs = doomed.handle().clone();
    let builder = WorkSharing::builder().spawner(move |task| drop(theirs.spawn(task)));
    let sharing = builder.build().unwrap();
    let (begun, go_on) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
    let (count, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
    let call = sharing.work("left").detach().run(move || async move {
        count.fetch_add(1, SeqCst);
        wait.notified().await;
        7
    });
    let caller = ours.spawn(call);
    wait_until(LIMIT, "the body runs", || begun.load(SeqCst) == 1);
    doomed.shutdown_background();
    go_on.notify_one();
    let value = ends_within(LIMIT, move || ours.block_on(caller).unwrap());
    assert_eq!((value, begun.load(SeqCst)), (7, 1));
    assert_eq!(sharing.work("left").peek_blocking(), Some(7));
}

// ---- How many there are.

#[test]
fn past_the_bound_a_computation_is_its_callers() {
    let (sharing, spawned) = counting(WorkSharing::builder().max_detached(1));
    let runtime = two_threads();
    let go_on = Arc::<Notify>::default();
    let waits = Arc::clone(&go_on);
    let first = sharing.work("first").detach().run(move || async move {
        waits.notified().await;
        1
    });
    let first = runtime.spawn(first);
    wait_until(LIMIT, "one is detached", || spawned.load(SeqCst) == 1);
    let second = runtime.block_on(sharing.work("second").detach().run(|| async { 2 }));
    assert_eq!((second, spawned.load(SeqCst)), (2, 1));
    assert_eq!(thread_of(&sharing, "third"), thread::current().id());
    go_on.notify_one();
    assert_eq!(runtime.block_on(first).unwrap(), 1);
    wait_until(LIMIT, "there is room again", || {
        let key = format!("later {:?}", thread::current().id());
        drop(sharing.work::<u32>(&key).invalidate_blocking());
        thread_of(&sharing, &key) != thread::current().id()
    });
}

/// Where a blocking body runs.
fn thread_of(sharing: &WorkSharing, key: &str) -> ThreadId {
    let thread = Arc::<Mutex<Option<ThreadId>>>::default();
    let tell = Arc::clone(&thread);
    sharing.work(key).detach().run_blocking(move || {
        *tell.lock().unwrap() = Some(thread::current().id());
        1
    });
    thread.lock().unwrap().take().expect("the body ran")
}

#[test]
fn after_the_drain_nothing_is_detached_and_nothing_refreshed_in_the_background() {
    let clock = ManualClock::new();
    let store = Memory::new().with_clock(&clock);
    let (sharing, spawned) = counting(WorkSharing::builder().store(store));
    let runtime = two_threads();
    let ttl = Duration::from_secs(60);
    let call = |key: &str, value: u32| {
        let work = sharing.work(key).ttl(ttl).stale_while_revalidate(ttl);
        runtime.block_on(work.detach().run(move || async move { value }))
    };
    assert_eq!((call("stale", 1), spawned.load(SeqCst)), (1, 1));
    runtime.block_on(sharing.drain(LIMIT)).unwrap();
    assert_eq!((call("another", 2), spawned.load(SeqCst)), (2, 1));
    assert_eq!(thread_of(&sharing, "blocking"), thread::current().id());
    clock.advance(ttl);
    assert_eq!(
        (call("stale", 3), call("stale", 4)),
        (1, 1),
        "served, and no more"
    );
    assert_eq!(spawned.load(SeqCst), 1);
    clock.advance(ttl);
    assert_eq!(call("stale", 5), 5, "too old to be served");
}

#[test]
fn drain_says_what_is_still_under_way() {
    let sharing = WorkSharing::in_memory();
    let (begun, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (begins, waits) = (Arc::clone(&begun), Arc::clone(&go_on));
    let call = sharing.clone();
    let caller = thread::spawn(move || {
        call.work("long").detach().run_blocking(move || {
            begins.wait();
            waits.wait();
            1
        })
    });
    begun.wait();
    let error = sharing
        .drain_blocking(Duration::from_millis(50))
        .unwrap_err();
    assert!(
        error.to_string().starts_with("1 detached computation is"),
        "{error}"
    );
    go_on.wait();
    sharing.drain_blocking(LIMIT).unwrap();
    assert_eq!(caller.join().unwrap(), 1);
    assert_eq!(sharing.work("long").peek_blocking(), Some(1));
}

// ---- Nothing waits for itself.

#[test]
fn detached_body_that_asks_for_its_own_key_computes_it_inline() {
    let sharing = WorkSharing::in_memory();
    let ours = sharing.clone();
    let value = ends_within(LIMIT, move || {
        let runtime = two_threads();
        let inner = ours.clone();
        let outer = ours
            .work("own")
            .detach()
            .run(move || async move { inner.work("own").detach().run(|| async { 1 }).await + 1 });
        let later = runtime.block_on(outer);
        let inner = ours.clone();
        let now = ours
            .work("own, blocking")
            .detach()
            .run_blocking(move || inner.work("own, blocking").detach().run_blocking(|| 1) + 1);
        (later, now)
    });
    assert_eq!(value, (2, 2));
    assert_eq!(sharing.stats().recursive, 2);
}

/// Through a detached call of another key, which inherits the keys of its caller.
#[test]
fn own_key_behind_another_one_computes_inline() {
    let sharing = WorkSharing::in_memory();
    let ours = sharing.clone();
    let value = ends_within(LIMIT, move || {
        let (middle, inner) = (ours.clone(), ours.clone());
        let runtime = two_threads();
        let outer = ours.work("outer").detach().run(move || async move {
            let middle = middle.work("middle").detach().run(move || async move {
                inner.work("outer").detach().run(|| async { 1 }).await + 1
            });
            middle.await + 1
        });
        let later = runtime.block_on(outer);
        let (middle, inner) = (ours.clone(), ours.clone());
        let now = ours.work("blocking outer").detach().run_blocking(move || {
            let middle = middle
                .work("blocking middle")
                .detach()
                .run_blocking(move || inner.work("blocking outer").detach().run_blocking(|| 1) + 1);
            middle + 1
        });
        (later, now)
    });
    assert_eq!(value, (3, 3));
    assert_eq!(sharing.stats().recursive, 2);
}

#[test]
fn nested_detached_calls_do_not_hang_over_a_cap_of_one() {
    let servers = Servers::start();
    let builder = servers.builder().max_held_keys(1);
    let sharing = builder.build().unwrap();
    // Who is inside a computation does not queue for a place: twice a second, if it did.
    let begun = Instant::now();
    assert_eq!(nested(&sharing, "alone", 3), 3);
    let alone = begun.elapsed();
    assert!(alone < Duration::from_millis(1_500), "{alone:?}");
    let ours = sharing.clone();
    let values = ends_within(LIMIT, move || {
        let runtime = two_threads();
        let callers: Vec<_> = (0..8)
            .map(|number| {
                let sharing = ours.clone();
                thread::spawn(move || nested(&sharing, &number.to_string(), 3))
            })
            .collect();
        let later = runtime.block_on(nested_tasks(ours, 3));
        let mut values: Vec<_> = callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .collect();
        values.push(later);
        values
    });
    assert_eq!(values, [3; 9]);
    wait_until(LIMIT, "no lock is left", || {
        servers.postgres.advisory_locks() == 0
    });
}

fn nested(sharing: &WorkSharing, who: &str, depth: usize) -> usize {
    let work = sharing.work(format!("{who}, level {depth}"));
    let (sharing, who) = (sharing.clone(), who.to_owned());
    work.detach().run_blocking(move || {
        thread::sleep(Duration::from_millis(20));
        let deeper = depth.checked_sub(2);
        1 + deeper.map_or(0, |_| nested(&sharing, &who, depth - 1))
    })
}

/// Boxed: of a future inside of itself nobody can tell otherwise that it is `Send`.
fn nested_tasks(sharing: WorkSharing, depth: usize) -> BoxFuture<'static, usize> {
    let work = sharing.work(format!("tasks, level {depth}"));
    let body = move || async move {
        match depth {
            1 => 1,
            _ => 1 + nested_tasks(sharing, depth - 1).await,
        }
    };
    Box::pin(work.detach().run(body))
}
