//! One process: any number of callers of any kind, generations, recursion, invalidation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tests::{Callers, Servers, ends_within, on_each_backend, wait_until};
use tokio::runtime::Runtime;
use worksharing::lock::{Caller, Local, Lock, LockGuard, Waiter};
use worksharing::{BoxFuture, Key, WorkSharing};

const LIMIT: Duration = Duration::from_secs(60);

// ---- Case 15: 10 / 100 / 1,000 / 10,000 callers, sync, async, mixed: one execution.

#[test]
fn any_number_of_callers_computes_once() {
    any_number_of_callers(&WorkSharing::in_memory());
    any_number_of_callers(&Servers::start().sharing());
}

fn any_number_of_callers(sharing: &WorkSharing) {
    for count in [10, 100, 1_000, 10_000] {
        for callers in [
            Callers::Threads(count),
            Callers::Tasks(count),
            Callers::Mixed(count),
        ] {
            assert_eq!(executions(sharing, callers), 1, "{callers:?}");
        }
    }
}

#[derive(Default)]
struct Counts {
    called: AtomicUsize,
    executions: AtomicUsize,
}

fn executions(sharing: &WorkSharing, callers: Callers) -> usize {
    let counts = Arc::new(Counts::default());
    let runtime = Runtime::new().unwrap();
    let (mut threads, mut tasks) = (Vec::new(), Vec::new());
    for number in 0..callers.count() {
        let (sharing, counts) = (sharing.clone(), Arc::clone(&counts));
        if callers.is_task(number) {
            tasks.push(runtime.spawn(async move { task(&sharing, &counts, callers).await }));
        } else {
            threads.push(thread(move || blocking(&sharing, &counts, callers)));
        }
    }
    let expected = callers.count();
    assert!(
        threads
            .into_iter()
            .all(|thread| thread.join().unwrap() == expected)
    );
    runtime.block_on(async {
        for task in tasks {
            assert_eq!(task.await.unwrap(), expected);
        }
    });
    counts.executions.load(SeqCst)
}

fn thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(run)
        .unwrap()
}

/// The body lasts until everybody has called.
fn blocking(sharing: &WorkSharing, counts: &Counts, callers: Callers) -> usize {
    counts.called.fetch_add(1, SeqCst);
    sharing.work(format!("{callers:?}")).run_blocking(|| {
        counts.executions.fetch_add(1, SeqCst);
        wait_until(LIMIT, "all have called", || {
            counts.called.load(SeqCst) == callers.count()
        });
        callers.count()
    })
}

async fn task(sharing: &WorkSharing, counts: &Counts, callers: Callers) -> usize {
    counts.called.fetch_add(1, SeqCst);
    let work = sharing.work(format!("{callers:?}"));
    work.run(async || {
        counts.executions.fetch_add(1, SeqCst);
        while counts.called.load(SeqCst) < callers.count() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        callers.count()
    })
    .await
}

// ---- Case 19: a key inside its own body; nested keys.

#[test]
fn key_inside_its_own_body_does_not_hang() {
    on_each_backend(|backend, build| {
        let sharing = build();
        let blocking = sharing.clone();
        let value = ends_within(LIMIT, move || {
            let inner = || blocking.work("self").run_blocking(|| 1);
            blocking.work("self").run_blocking(|| inner() + 1)
        });
        assert_eq!(value, 2, "{backend}");
        let value = ends_within(LIMIT, move || {
            Runtime::new().unwrap().block_on(async {
                let inner = async || sharing.work("self, async").run(async || 1).await;
                sharing
                    .work("self, async")
                    .run(async || inner().await + 1)
                    .await
            })
        });
        assert_eq!(value, 2, "{backend}");
    });
}

#[test]
fn nested_keys_do_not_hang_over_a_cap_of_one() {
    let servers = Servers::start();
    let sharing = servers.builder().max_held_keys(1).build().unwrap();
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let sharing = sharing.clone();
            thread::spawn(move || {
                ends_within(LIMIT, move || nested(&sharing, &number.to_string(), 3))
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 3);
    }
    let runtime = Runtime::new().unwrap();
    let value = ends_within(LIMIT, move || runtime.block_on(nested_tasks(&sharing, 3)));
    assert_eq!(value, 3);
    wait_until(LIMIT, "no lock is left", || {
        servers.postgres.advisory_locks() == 0
    });
}

fn nested(sharing: &WorkSharing, who: &str, depth: usize) -> usize {
    sharing
        .work(format!("{who}, level {depth}"))
        .run_blocking(|| {
            thread::sleep(Duration::from_millis(20));
            if depth == 1 {
                1
            } else {
                1 + nested(sharing, who, depth - 1)
            }
        })
}

async fn nested_tasks(sharing: &WorkSharing, depth: usize) -> usize {
    let level = async || {
        if depth == 1 {
            1
        } else {
            1 + Box::pin(nested_tasks(sharing, depth - 1)).await
        }
    };
    sharing
        .work(format!("tasks, level {depth}"))
        .run(level)
        .await
}

// ---- Case 20: invalidated or refreshed while it is being computed.

#[test]
fn invalidation_during_a_computation_keeps_its_result_out() {
    on_each_backend(|backend, build| {
        let (ours, others) = (build(), build());
        let old = ours.work("invalidated").run_blocking(|| {
            others
                .work::<String>("invalidated")
                .invalidate_blocking()
                .unwrap();
            "old".to_owned()
        });
        assert_eq!(old, "old", "{backend}");
        assert_eq!(
            ours.work::<String>("invalidated").peek_blocking(),
            None,
            "{backend}"
        );
        assert_eq!(ours.stats().refused, 1, "{backend}");
        let new = others.work("invalidated").run_blocking(|| "new".to_owned());
        assert_eq!(new, "new", "{backend}");
        assert_eq!(
            ours.work("invalidated").peek_blocking(),
            Some(new),
            "{backend}"
        );
    });
}

#[test]
fn invalidation_by_the_same_runtime_keeps_the_result_out() {
    let sharing = WorkSharing::in_memory();
    let old = sharing.work("invalidated").run_blocking(|| {
        sharing
            .work::<u32>("invalidated")
            .invalidate_blocking()
            .unwrap();
        // Who asks from now on must not be given what was begun before.
        let after = sharing.clone();
        let later = thread::spawn(move || after.work("invalidated").peek_blocking());
        assert_eq!(later.join().unwrap(), None::<u32>);
        1
    });
    assert_eq!(
        (old, sharing.work::<u32>("invalidated").peek_blocking()),
        (1, None)
    );
}

#[test]
fn refresh_while_the_lock_is_lost_keeps_the_older_result_out() {
    let servers = Servers::start();
    let (slow, quick) = (servers.sharing(), servers.sharing());
    // Another process, so to speak: in a thread of its own, for a body's own key is computed inline.
    let refresh = |value| {
        assert!(servers.postgres.terminate_lock_sessions() > 0);
        let refreshed = quick.work("refreshed").force_refresh(true);
        thread::scope(|scope| scope.spawn(|| refreshed.run_blocking(|| value)).join())
    };
    let old = slow.work("refreshed").run_blocking(|| {
        // The slow one loses its lock in the middle of its body; the other one refreshes meanwhile.
        refresh(2).unwrap()
    });
    assert_eq!(old, 2);
    wait_until(LIMIT, "its session is back", || slow.check().is_ok());
    let slow_again = slow.work("refreshed").force_refresh(true).run_blocking(|| {
        assert_eq!(refresh(4).unwrap(), 4);
        3
    });
    assert_eq!(slow_again, 3);
    assert_eq!(
        slow.work("refreshed").peek_blocking(),
        Some(4),
        "the older result was stored"
    );
}

// ---- Case 25: the blocking calls on an async runtime's threads.

#[test]
fn blocking_call_works_on_an_async_runtimes_thread() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    let current = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let work = sharing.clone();
    let value = ends_within(LIMIT, move || {
        current.block_on(async move { work.work("on one thread").run_blocking(|| 1) })
    });
    assert_eq!(value, 1);
    let several = Runtime::new().unwrap();
    let executions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&executions);
    ends_within(LIMIT, move || {
        several.block_on(async {
            let tasks: Vec<_> = (0..16)
                .map(|_| {
                    let (sharing, executions) = (sharing.clone(), Arc::clone(&counted));
                    tokio::spawn(async move {
                        sharing.work("on several").run_blocking(|| {
                            thread::sleep(Duration::from_millis(200));
                            executions.fetch_add(1, SeqCst)
                        })
                    })
                })
                .collect();
            for task in tasks {
                assert_eq!(task.await.unwrap(), 0);
            }
        });
    });
    assert_eq!(executions.load(SeqCst), 1);
}

// ---- The second look, once the lock is held: somebody may have stored a value since the first one.

/// A lock that is granted only after something else has happened.
#[derive(Debug)]
struct Meanwhile {
    lock: Local,
    other: WorkSharing,
}

impl Lock for Meanwhile {
    fn try_lock<'a>(
        &'a self,
        key: &'a Key,
        caller: Caller,
    ) -> BoxFuture<'a, Result<Option<LockGuard>, worksharing::Error>> {
        self.other
            .work(key.characteristic())
            .run_blocking(|| "theirs".to_owned());
        self.lock.try_lock(key, caller)
    }

    fn register_waiter<'a>(
        &'a self,
        key: &'a Key,
    ) -> BoxFuture<'a, Result<Box<dyn Waiter>, worksharing::Error>> {
        self.lock.register_waiter(key)
    }
}

#[test]
fn value_stored_between_the_look_and_the_lock_is_found() {
    let servers = Servers::start();
    let lock = Meanwhile {
        lock: Local::new(),
        other: servers.sharing(),
    };
    let ours = servers.builder().lock(lock).build().unwrap();
    let value = ours.work("between").run_blocking(|| "ours".to_owned());
    assert_eq!((value.as_str(), ours.stats().computed), ("theirs", 0));
}
