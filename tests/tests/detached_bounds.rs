//! Ever so many detached calls at a time: threads and memory are bounded, and nobody waits for a thread that waits for
//! it.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use tests::{Resources, ends_within, wait_until};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use worksharing::WorkSharing;

const LIMIT: Duration = Duration::from_secs(60);

fn two_threads() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn ten_thousand_detached_callers_need_no_more_threads_than_one() {
    const CALLERS: usize = 10_000;
    let sharing = WorkSharing::in_memory();
    let runtime = two_threads();
    let go_on = Arc::new(Semaphore::new(0));
    let begun = Arc::<AtomicUsize>::default();
    // So that all threads are there that are needed by a single one.
    runtime.block_on(sharing.work("one").detach().run(|| async { 0 }));
    let before = Resources::of(std::process::id());
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let work = sharing.work(format!("of {number}")).detach();
            let (go_on, begun) = (Arc::clone(&go_on), Arc::clone(&begun));
            runtime.spawn(work.run(move || async move {
                begun.fetch_add(1, SeqCst);
                go_on.acquire().await.unwrap().forget();
                number
            }))
        })
        .collect();
    wait_until(LIMIT, "all compute", || begun.load(SeqCst) == CALLERS);
    let meanwhile = Resources::of(std::process::id());
    go_on.add_permits(CALLERS);
    for (number, caller) in callers.into_iter().enumerate() {
        assert_eq!(runtime.block_on(caller).unwrap(), number);
    }
    eprintln!("before: {before}; with all of them: {meanwhile}");
    // The one for timers may have begun.
    assert!(meanwhile.threads <= before.threads + 1, "{meanwhile}");
    // 20 KiB for each.
    assert!(
        meanwhile.resident_kib <= before.resident_kib + 20 * CALLERS,
        "{meanwhile}"
    );
}

#[test]
fn more_blocking_callers_than_are_detached_at_a_time_are_served() {
    const CALLERS: usize = 1_500;
    let sharing = WorkSharing::builder().max_detached(100).build().unwrap();
    let (running, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let work = sharing.work(format!("of {number}")).detach();
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            let call = move || {
                let caller = thread::current().id();
                work.run_blocking(move || {
                    let is_detached = usize::from(thread::current().id() != caller);
                    most.fetch_max(running.fetch_add(is_detached, SeqCst) + is_detached, SeqCst);
                    thread::sleep(Duration::from_millis(20));
                    running.fetch_sub(is_detached, SeqCst);
                    number
                })
            };
            thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn(call)
                .unwrap()
        })
        .collect();
    for (number, caller) in callers.into_iter().enumerate() {
        assert_eq!(caller.join().unwrap(), number);
    }
    let most = most.load(SeqCst);
    assert!((2..=100).contains(&most), "{most} at a time");
}

/// Tokio's threads for blocking work are all taken by callers that wait, and their bodies wait for each other, too.
#[test]
fn callers_on_all_blocking_threads_of_a_runtime_are_served() {
    const THREADS: usize = 512;
    let sharing = WorkSharing::in_memory();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder
        .worker_threads(2)
        .max_blocking_threads(THREADS)
        .thread_stack_size(256 * 1024)
        .build()
        .unwrap();
    let all = Arc::new(Barrier::new(THREADS));
    let sum = ends_within(LIMIT, move || {
        let callers: Vec<_> = (0..THREADS)
            .map(|number| {
                let (sharing, all) = (sharing.clone(), Arc::clone(&all));
                runtime.spawn_blocking(move || {
                    let work = sharing.work(format!("of {number}")).detach();
                    work.run_blocking(move || {
                        all.wait();
                        number
                    })
                })
            })
            .collect();
        let served = callers.into_iter().map(|caller| runtime.block_on(caller));
        served.map(Result::unwrap).sum::<usize>()
    });
    assert_eq!(sum, THREADS * (THREADS - 1) / 2);
}
