//! Code of the user's that panics, processes that fork, clocks that differ. Numbers 33, 36 and 38 of the issue on
//! bounds.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tests::{Run, Servers, Setup, Shim, Worker, wait_until};
use worksharing::{WorkSharing, work_shared};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(20);

// ---- 36: panics in what the user gives along.

thread_local! {
    static READS_WELL: Cell<bool> = const { Cell::new(true) };
}

/// Its `Deserialize` panics where it is told to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Fragile(u32);

impl<'de> Deserialize<'de> for Fragile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fragile(u32);
        let read = Fragile::deserialize(deserializer)?;
        assert!(READS_WELL.get() || read.0 != 7, "seven is odd");
        Ok(Self(read.0))
    }
}

#[test]
fn value_whose_reading_panics_is_a_miss() {
    let servers = Servers::start();
    for sharing in [servers.sharing(), WorkSharing::in_memory()] {
        assert_eq!(sharing.work("odd").run_blocking(|| Fragile(7)), Fragile(7));
        let answers: Vec<_> = thread::scope(|scope| {
            let callers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        READS_WELL.set(false);
                        sharing.work("odd").run_blocking(|| Fragile(7))
                    })
                })
                .collect();
            callers
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect()
        });
        let panicked = answers.iter().filter(|answer| answer.is_err()).count();
        assert_eq!(panicked, 0, "of {} callers", answers.len());
        READS_WELL.set(false);
        assert_eq!(sharing.work::<Fragile>("odd").peek_blocking(), None);
        assert!(sharing.stats().unreadable > 0);
        READS_WELL.set(true);
    }
}

/// Its `Serialize` panics.
#[derive(Debug, Deserialize, PartialEq)]
struct Unwritable(u32);

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("it cannot be written")
    }
}

#[work_shared(ttl = |_: &u32| -> Duration { panic!("no idea how long") }, key = "no ttl", via = sharing)]
fn whose_lifetime_panics(sharing: &WorkSharing) -> u32 {
    1
}

#[work_shared(ttl = "60s", cache_if = |_: &u32| panic!("cannot decide"), key = "no rule", via = sharing)]
fn whose_rule_panics(sharing: &WorkSharing) -> u32 {
    2
}

#[test]
fn value_that_was_computed_goes_to_its_caller() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    let survives = |what: &str, call: &dyn Fn() -> u32| {
        catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| panic!("{what}: the value is lost"))
    };
    let unwritable = || sharing.work("unwritable").run_blocking(|| Unwritable(3)).0;
    assert_eq!(survives("Serialize", &unwritable), 3);
    assert_eq!(survives("ttl", &|| whose_lifetime_panics(&sharing)), 1);
    assert_eq!(survives("cache_if", &|| whose_rule_panics(&sharing)), 2);
    wait_until(LIMIT, "no lock is left", || {
        servers.postgres.advisory_locks() == 0
    });
    assert_eq!(sharing.work("as before").run_blocking(|| 4), 4);
}

// ---- 33: a process that forks after its first use of a runtime.

fn fork(setup: &Setup) {
    let mut worker = Worker::start_with(WORKER, setup, &Shim::that_forks());
    let parent = format!("of process {}", worker.pid());
    let (value, trouble) = worker.fork("forked", Duration::from_secs(10));
    eprintln!("the forked process computed a value {value}");
    assert!(
        !value.starts_with(&parent) && value.ends_with(" 0 wrong looks"),
        "{value}"
    );
    assert_eq!(trouble, None);
    // The parent goes on as before, and has kept its connections to itself.
    worker.run(&Run::of("parent", Duration::from_millis(10)));
    worker.wait(1);
    assert_eq!(worker.check(), None);
    let stats = worker.stats();
    assert_eq!((stats.degraded, stats.unreadable), (0, 0));
    assert!(worker.peek("parent").is_some());
}

/// For some seconds the parent keeps the session that its own was probed with, for who may wait. It is none of its child's.
#[test]
fn forked_process_leaves_its_parents_sessions_alone() {
    const KEPT: Duration = Duration::from_secs(4);
    let servers = Servers::start();
    let mut rounds = (0..5).map(|_| {
        let mut worker = Worker::start_with(WORKER, &servers.setup(), &Shim::that_forks());
        let begun = Instant::now();
        worker.run(&Run::of("first", Duration::ZERO));
        worker.wait(1);
        let of_parent = servers.postgres.session_pids();
        assert_eq!(of_parent.len(), 2);
        worker.fork("forked", Duration::from_secs(10));
        let left = servers.postgres.session_pids();
        let is_soon = begun.elapsed() < KEPT;
        assert!(
            !is_soon || left.is_superset(&of_parent),
            "{left:?} of {of_parent:?}"
        );
        drop(worker);
        wait_until(LIMIT, "its sessions end", || {
            servers.postgres.sessions() == 0
        });
        is_soon
    });
    assert!(rounds.any(|is_soon| is_soon), "this machine is too slow");
}

#[test]
fn forked_process_does_not_hang() {
    let servers = Servers::start();
    fork(&servers.setup());
    fork(&Setup::on_postgres(servers.postgres.url()));
}

#[test]
fn forked_process_does_not_hang_with_leases() {
    fork(&Servers::start().leases());
}

#[test]
fn forked_process_does_not_hang_in_a_directory() {
    let directory = tempfile::TempDir::new().unwrap();
    fork(&Setup::in_directory(directory.path()));
}

// ---- 38: a wall clock that is an hour ahead.

#[test]
fn clock_that_is_ahead_keeps_no_value_alive() {
    let directory = tempfile::TempDir::new().unwrap();
    let setup = Setup::in_directory(directory.path());
    let mut ahead = Worker::start_with(WORKER, &setup, &Shim::with_a_clock_ahead(3_600));
    let mut usual = Worker::start(WORKER, &setup);
    let run = Run::of("dated", Duration::ZERO).ttl(Duration::from_secs(2));
    ahead.run(&run);
    ahead.wait(1);
    thread::sleep(Duration::from_secs(3));
    assert_eq!(usual.peek("dated"), None, "it lives an hour longer");
}

// Such a clock must not keep values from others, either.
#[test]
fn clock_that_is_ahead_finds_what_others_stored() {
    static BODIES: AtomicUsize = AtomicUsize::new(0);
    let servers = Servers::start();
    let sharing = servers.sharing();
    sharing
        .work("dated")
        .run_blocking(|| Some(format!("body {}", BODIES.fetch_add(1, SeqCst))));
    let ahead = Shim::with_a_clock_ahead(3_600);
    let mut ahead = Worker::start_with(WORKER, &servers.setup(), &ahead);
    assert_eq!(ahead.peek("dated").as_deref(), Some("body 0"));
}
