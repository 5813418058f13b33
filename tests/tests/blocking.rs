//! Blocking callers and suspended futures that could wait for each other. Case 58; numbers 21, 22 and 38 of the
//! issue on bounds.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tests::{Servers, ends_within, on_each_backend, wait_until};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, oneshot};
use worksharing::WorkSharing;

const LIMIT: Duration = Duration::from_secs(10);

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn threads(number: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(number).enable_all().build().unwrap()
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

// ---- 21: blocking callers on all threads of a runtime, one of whose tasks leads.

/// As many blocking callers as there are workers, of a key whose leader is a task of the same runtime.
fn blocking_callers_beside_a_leading_task(sharing: WorkSharing, workers: usize, callers: usize) {
    let runtime = threads(workers);
    let values = ends_within(LIMIT, move || {
        let (ours, leads) = (sharing.clone(), Arc::new(Notify::new()));
        let told = Arc::clone(&leads);
        let leader = runtime.spawn(async move {
            let body = async || {
                told.notify_one();
                tokio::time::sleep(Duration::from_millis(300)).await;
                0
            };
            ours.work("led by a task").run(body).await
        });
        runtime.block_on(leads.notified());
        let followers: Vec<_> = (1..=callers)
            .map(|number| {
                let ours = sharing.clone();
                let call = async move { ours.work("led by a task").run_blocking(|| number) };
                runtime.spawn(call)
            })
            .collect();
        let values = followers.into_iter().chain([leader]);
        let values: Vec<_> = values.map(|task| runtime.block_on(task).unwrap()).collect();
        runtime.shutdown_background();
        values
    });
    assert_eq!(values.len(), callers + 1);
}

#[test]
fn blocking_callers_on_every_worker_of_a_leading_task_are_served() {
    for (workers, callers) in [(1, 1), (2, 2), (2, 8)] {
        let sharing = WorkSharing::in_memory();
        blocking_callers_beside_a_leading_task(sharing, workers, callers);
        eprintln!("{callers} callers on {workers} workers are served");
    }
    let servers = Servers::start();
    blocking_callers_beside_a_leading_task(servers.sharing(), 2, 4);
}

// One worker blocks; the leader may sit in the queue of that very worker.
#[test]
fn blocking_caller_that_the_leader_itself_spawned_is_served() {
    let sharing = WorkSharing::in_memory();
    let runtime = threads(2);
    ends_within(LIMIT, move || {
        runtime.block_on(async {
            for round in 0..50 {
                let key = format!("round {round}");
                let (ours, theirs, of_task) = (sharing.clone(), sharing.clone(), key.clone());
                let leader = tokio::spawn(async move {
                    let body = async || {
                        let call = async move { theirs.work(of_task).run_blocking(|| 2) };
                        let caller = tokio::spawn(call);
                        tokio::task::yield_now().await;
                        (1, Some(caller))
                    };
                    let mut caller = None;
                    let value = ours
                        .work(key)
                        .run(async || {
                            let (value, spawned) = body().await;
                            caller = spawned;
                            value
                        })
                        .await;
                    (value, caller.unwrap().await.unwrap())
                });
                let (led, called) = leader.await.unwrap();
                assert!(led == 1 && (called == 1 || called == 2));
            }
        });
        runtime.shutdown_background();
    });
}

#[test]
fn blocking_caller_beside_a_suspended_leader_on_the_same_thread_is_served() {
    for sharing in [WorkSharing::in_memory(), Servers::start().sharing()] {
        let (led, called) = ends_within(LIMIT, move || {
            one_thread().block_on(async {
                let leads = Notify::new();
                let leader = sharing.work("one thread").run(async || {
                    leads.notify_one();
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    1
                });
                let caller = async {
                    leads.notified().await;
                    sharing.work("one thread").run_blocking(|| 2)
                };
                tokio::join!(leader, caller)
            })
        });
        assert!(led == 1 && (called == 1 || called == 2), "{led}, {called}");
    }
}

/// Two runtimes of one thread each; a task of each leads what the other one's blocking caller asks for.
#[test]
fn runtimes_that_wait_for_each_other_crosswise_are_served() {
    let servers = Servers::start();
    let one = WorkSharing::in_memory();
    for pair in [
        (one.clone(), one),
        // As two processes would.
        (servers.sharing(), servers.sharing()),
    ] {
        let both_lead = Arc::new(AtomicUsize::new(0));
        let side = |sharing: WorkSharing, own: &'static str, other: &'static str| {
            let both_lead = Arc::clone(&both_lead);
            thread::spawn(move || {
                one_thread().block_on(async {
                    let leader = sharing.work(own).run(async || {
                        both_lead.fetch_add(1, SeqCst);
                        while both_lead.load(SeqCst) < 2 {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        1
                    });
                    let caller = async {
                        while both_lead.load(SeqCst) < 2 {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                        sharing.work(other).run_blocking(|| 2)
                    };
                    tokio::join!(leader, caller)
                })
            })
        };
        let sides = [side(pair.0, "a", "b"), side(pair.1, "b", "a")];
        wait_until(LIMIT, "both are served", || {
            sides.iter().all(thread::JoinHandle::is_finished)
        });
        for side in sides {
            assert_eq!(side.join().unwrap().0, 1);
        }
    }
}

// ---- 22: a successor that nobody polls.

#[test]
fn successor_that_is_not_polled_is_passed_over() {
    on_each_backend(|backend, build| {
        let sharing = build();
        let (go, gone) = oneshot::channel::<()>();
        let ours = sharing.clone();
        let leader = thread::spawn(move || {
            one_thread().block_on(ours.work("passed on").try_run(async || {
                let _ = gone.await;
                Err::<i32, _>(Box::<dyn std::error::Error + Send + Sync>::from("fails"))
            }))
        });
        wait_until(LIMIT, "the leader leads", || sharing.stats().computed == 1);
        let mut asleep = pin!(sharing.work("passed on").run(async || 1));
        // Until it waits for the leader; then nobody polls it any more.
        let before = Instant::now();
        while before.elapsed() < Duration::from_millis(200) {
            assert!(poll_once(asleep.as_mut()).is_pending(), "{backend}");
            thread::sleep(Duration::from_millis(5));
        }
        go.send(()).unwrap();
        assert!(leader.join().unwrap().is_err(), "{backend}");
        let (later, began) = (sharing.clone(), Instant::now());
        let value = ends_within(LIMIT, move || later.work("passed on").run_blocking(|| 2));
        let took = began.elapsed();
        eprintln!("{backend}: served {took:?} after the leader had failed");
        assert_eq!(value, 2, "{backend}");
        assert!(took < Duration::from_millis(2_500), "{backend}: {took:?}");
    });
}

// ---- 38: a body that asks for its own key through a second runtime on the same servers.

#[test]
fn own_key_through_a_second_runtime_does_not_hang() {
    on_each_backend(|backend, build| {
        let (outer, inner) = (build(), build());
        let value = ends_within(LIMIT, move || {
            let nested = || inner.work("own").run_blocking(|| 1);
            outer.work("own").run_blocking(|| nested() + 1)
        });
        assert_eq!(value, 2, "{backend}");
        let (outer, inner) = (build(), build());
        let value = ends_within(LIMIT, move || {
            let nested = async || inner.work("own, async").run(async || 1).await;
            one_thread().block_on(outer.work("own, async").run(async || nested().await + 1))
        });
        assert_eq!(value, 2, "{backend}");
    });
}

// ---- Detached leads.

/// The task was spawned on the one thread that the caller would block.
fn blocking_caller_beside_a_detached_lead(polls: usize) {
    let (blocking, detached) = ends_within(LIMIT, move || {
        let sharing = WorkSharing::in_memory();
        one_thread().block_on(async {
            let detached = sharing.work("detached").detach();
            let mut detached = pin!(detached.run(|| async {
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                1
            }));
            assert!(poll_once(detached.as_mut()).is_pending());
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
            let blocking = sharing.work("detached").run_blocking(|| 2);
            (blocking, detached.await)
        })
    });
    assert_eq!(blocking, 2);
    assert!([1, 2].contains(&detached), "{detached}");
}

#[test]
fn blocking_caller_does_not_wait_for_a_detached_lead_that_needs_its_thread() {
    for polls in 0..2 {
        blocking_caller_beside_a_detached_lead(polls);
    }
}
