//! No free descriptor while sessions are lost. Case 57; numbers 20 and 26 of the issue on bounds.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tests::{Run, Servers, Setup, Worker, wait_until};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(10);

fn without_descriptors(abort_on_panic: bool) {
    let servers = Servers::start();
    let before = servers.postgres.session_pids();
    assert_eq!(before, BTreeSet::new());
    let setup = Setup {
        abort_on_panic,
        ..servers.setup()
    };
    let mut waiter = Worker::start(WORKER, &setup);
    assert_eq!(waiter.check(), None);
    wait_until(LIMIT, "both sessions are there", || {
        servers.postgres.sessions() == 2
    });
    let sessions = servers.postgres.session_pids();
    let ours = servers.sharing();
    let body = Duration::from_secs(4);
    let holder = thread::spawn(move || {
        // What it computes is not stored, so that somebody else has to.
        let failed = ours.work("held").try_run_blocking(|| {
            thread::sleep(body);
            Err::<String, _>(())
        });
        (failed, ours)
    });
    wait_until(LIMIT, "the key is held", || {
        servers.postgres.held_keys() == 1
    });
    waiter.run(&Run::of("held", Duration::ZERO));
    wait_until(LIMIT, "the worker waits", || {
        servers.postgres.shown_interest() == 1
    });
    waiter.without_descriptors(|| {
        servers.postgres.terminate(&sessions);
        thread::sleep(Duration::from_millis(1_500));
    });
    let (failed, _ours) = holder.join().unwrap();
    assert_eq!(failed, Err(()));
    let released = Instant::now();
    let served = |waiter: &Worker| tests::Timeline::of([waiter]).served() == 1;
    wait_until(LIMIT, "the waiter is served", || {
        assert!(waiter.is_alive(), "its process died");
        served(&waiter)
    });
    let took = released.elapsed();
    eprintln!("served {took:?} after the release");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn waiter_without_a_free_descriptor_is_served() {
    without_descriptors(false);
}

#[test]
fn waiter_without_a_free_descriptor_is_served_where_panics_abort() {
    without_descriptors(true);
}

/// The session that listens is lost while none can be opened: later it is there again, and handovers are told.
#[test]
fn listener_comes_back_whatever_became_of_it() {
    let servers = Servers::start();
    let mut waiter = Worker::start(WORKER, &servers.setup());
    assert_eq!(waiter.check(), None);
    let listening = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    let pids = || -> BTreeSet<i32> {
        let rows = servers.postgres.connect().query(listening, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let ours = servers.sharing();
    let (end, ends) = mpsc::channel();
    let holder = thread::spawn(move || {
        ours.work("told").run_blocking(|| {
            ends.recv().unwrap();
            "told".to_owned()
        });
        let stored = tests::now_us();
        (stored, ours)
    });
    wait_until(LIMIT, "the key is held", || {
        servers.postgres.held_keys() == 1
    });
    waiter.run(&Run::of("told", Duration::ZERO));
    wait_until(LIMIT, "one session listens", || pids().len() == 1);
    waiter.without_descriptors(|| {
        servers.postgres.terminate(&pids());
        thread::sleep(Duration::from_millis(1_500));
    });
    wait_until(LIMIT, "one session listens again", || pids().len() == 1);
    // Long enough for the waiter to look seldom.
    thread::sleep(Duration::from_millis(2_700));
    end.send(()).unwrap();
    let (stored, _ours) = holder.join().unwrap();
    waiter.wait(1);
    let late = tests::now_us().saturating_sub(stored);
    eprintln!("served {late} µs after the value was stored");
    assert!(late < 250_000, "{late} µs: nobody told it");
}
