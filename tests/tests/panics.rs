//! Case 17: a panic passes to its own caller only, and somebody else takes over.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use tests::{Servers, on_each_backend, wait_until};
use tokio::runtime::Runtime;
use worksharing::WorkSharing;

const LIMIT: Duration = Duration::from_secs(20);

/// The first body panics once everybody has called; the second one returns.
fn first_panics(bodies: &AtomicUsize, called: impl Fn() -> bool) -> usize {
    let number = bodies.fetch_add(1, SeqCst);
    if number == 0 {
        wait_until(LIMIT, "all have called", called);
        resume_unwind(Box::new("the leader's own"));
    }
    number
}

#[test]
fn panic_of_a_leading_thread_is_its_own() {
    on_each_backend(|backend, build| {
        let sharing = build();
        let (bodies, called) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (sharing, bodies, called) = (sharing.clone(), bodies.clone(), called.clone());
                thread::spawn(move || {
                    called.fetch_add(1, SeqCst);
                    let body = || first_panics(&bodies, || called.load(SeqCst) == 8);
                    sharing.work("panics").run_blocking(body)
                })
            })
            .collect();
        let (values, panics): (Vec<_>, Vec<_>) = threads
            .into_iter()
            .map(thread::JoinHandle::join)
            .partition(Result::is_ok);
        assert_eq!(
            (values.len(), panics.len(), bodies.load(SeqCst)),
            (7, 1, 2),
            "{backend}"
        );
        assert!(
            values.into_iter().all(|value| value.unwrap() == 1),
            "{backend}"
        );
    });
}

#[test]
fn panic_of_a_leading_task_is_its_own() {
    on_each_backend(|backend, build| {
        let sharing = build();
        let runtime = Runtime::new().unwrap();
        let (bodies, called) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..8).map(|_| {
            let (sharing, bodies, called) = (sharing.clone(), bodies.clone(), called.clone());
            runtime.spawn(async move {
                called.fetch_add(1, SeqCst);
                let all = || called.load(SeqCst) == 8;
                let body = async || tokio::task::block_in_place(|| first_panics(&bodies, all));
                sharing.work("panics").run(body).await
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let results: Vec<_> = runtime.block_on(futures_util::future::join_all(tasks));
        let panicked = results.iter().filter(|result| result.is_err()).count();
        assert_eq!((panicked, bodies.load(SeqCst)), (1, 2), "{backend}");
        assert!(
            results.into_iter().flatten().all(|value| value == 1),
            "{backend}"
        );
    });
}

// A panic leaves the runtime as usable as before, its locks free.
#[test]
fn panic_frees_the_lock() {
    let servers = Servers::start();
    let (ours, theirs) = (servers.sharing(), servers.sharing());
    let call = || {
        ours.work::<u32>("panics")
            .run_blocking(|| panic!("the leader's own"))
    };
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
    wait_until(LIMIT, "no lock is left", || {
        servers.postgres.advisory_locks() == 0
    });
    assert_eq!(theirs.work("panics").run_blocking(|| 1), 1);
    assert_eq!(ours.work("panics").run_blocking(|| 2), 1);
}

// A panic while a value is encoded or a closure runs must not take the runtime down either.
#[test]
fn panic_while_encoding_is_its_callers_own() {
    let sharing = WorkSharing::in_memory();
    let call = || sharing.work("unencodable").run_blocking(|| Unencodable);
    let _ = catch_unwind(AssertUnwindSafe(call));
    assert_eq!(sharing.work("another").run_blocking(|| 1), 1);
    assert!(
        sharing
            .work::<Unencodable>("unencodable")
            .peek_blocking()
            .is_none()
    );
}

#[derive(Debug, serde::Deserialize)]
struct Unencodable;

impl serde::Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("a broken Serialize")
    }
}
