//! What is bounded stays within its bounds, whoever asks for how much. Cases 28, 29 and 35; numbers 3, 4 and
//! 30 to 32 of the issue on bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use tests::{PostgresServer, Servers, Setup, Worker, ends_within, on_each_backend, wait_until};
use tokio::runtime::Runtime;
use worksharing::WorkSharing;
use worksharing::lock::Local;

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(20);

// ---- 3, case 28: who has queued and gone is passed over, however many they are.

#[test]
fn callers_that_give_up_queueing_do_not_overflow_the_stack() {
    let server = PostgresServer::start();
    let mut worker = Worker::start(WORKER, &Setup::on_postgres(server.url()));
    assert_eq!(worker.give_up(60_000), None);
    wait_until(LIMIT, "no lock is left", || server.advisory_locks() == 0);
}

// ---- 4, case 29: the lock table is everybody's.

#[test]
fn no_more_keys_are_held_than_allowed() {
    let servers = Servers::start();
    let sharing = servers.builder().max_held_keys(10).build().unwrap();
    let (ended, most) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let (end, seen) = (Arc::clone(&ended), Arc::clone(&most));
    let mut client = servers.postgres.connect();
    let watching = thread::spawn(move || {
        let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
                   AND classid::bigint >> 28 = 12";
        while !end.load(SeqCst) {
            let held: i64 = client.query_one(sql, &[]).unwrap().get(0);
            seen.fetch_max(usize::try_from(held).unwrap(), SeqCst);
            thread::sleep(Duration::from_millis(20));
        }
    });
    let callers: Vec<_> = (0..100)
        .map(|number| {
            let sharing = sharing.clone();
            thread::spawn(move || {
                sharing.work(format!("key {number}")).run_blocking(|| {
                    thread::sleep(Duration::from_secs(3));
                    number
                })
            })
        })
        .collect();
    for (number, caller) in callers.into_iter().enumerate() {
        assert_eq!(caller.join().unwrap(), number);
    }
    ended.store(true, SeqCst);
    watching.join().unwrap();
    let most = most.load(SeqCst);
    assert!((1..=10).contains(&most), "{most} keys were held");
    // Those who did without the lock count, and are told of.
    assert!(sharing.stats().degraded > 0, "{:?}", sharing.stats());
}

// ---- Case 35: a runtime is built, used and dropped a thousand times.

fn thousand_runtimes(setup: &Setup, sessions: impl Fn() -> usize) {
    let mut worker = Worker::start(WORKER, setup);
    // What is made once for the whole process is there.
    assert_eq!(worker.churn(20), None);
    wait_until(LIMIT, "the sessions end", || sessions() == 0);
    thread::sleep(Duration::from_secs(1));
    let before = worker.resources();
    for _ in 0..20 {
        assert_eq!(worker.churn(50), None);
    }
    wait_until(LIMIT, "the sessions end", || sessions() == 0);
    let mut after = worker.resources();
    let began = Instant::now();
    while (after.threads > before.threads || after.descriptors > before.descriptors)
        && began.elapsed() < LIMIT
    {
        thread::sleep(Duration::from_millis(100));
        after = worker.resources();
    }
    eprintln!("at first {before}; after a thousand runtimes {after}");
    assert!(after.threads <= before.threads, "{before}, then {after}");
    assert!(
        after.descriptors <= before.descriptors,
        "{before}, then {after}"
    );
    let grown = after.resident_kib.saturating_sub(before.resident_kib);
    assert!(grown < 16 * 1024, "{before}, then {after}");
}

#[test]
fn runtimes_built_a_thousand_times_leave_nothing_behind() {
    let servers = Servers::start();
    thousand_runtimes(&servers.setup(), || servers.postgres.sessions());
}

#[test]
fn runtimes_in_a_directory_leave_nothing_behind() {
    let directory = tempfile::TempDir::new().unwrap();
    thousand_runtimes(&Setup::in_directory(directory.path()), || 0);
}

// ---- 30: times beyond any clock's reach.

#[test]
fn longest_times_are_as_good_as_long_ones() {
    on_each_backend(|backend, build| {
        let stored = build();
        assert_eq!(
            stored.work("ages").ttl(Duration::MAX).run_blocking(|| 1),
            1,
            "{backend}"
        );
        assert_eq!(stored.work("ages").peek_blocking(), Some(1), "{backend}");
    });
    let servers = Servers::start();
    let directory = tempfile::TempDir::new().unwrap();
    let builders = [
        servers.builder(),
        WorkSharing::builder().postgres(servers.postgres.url()),
        WorkSharing::builder().directory(directory.path()),
        WorkSharing::builder(),
    ];
    for builder in builders {
        let sharing = builder.tombstone_ttl(Duration::MAX).build().unwrap();
        sharing.work("dropped").run_blocking(|| 1);
        let invalidated = sharing.work::<i32>("dropped").invalidate_blocking();
        assert!(invalidated.is_ok(), "{sharing:?}: {invalidated:?}");
        let left = sharing.work::<i32>("dropped").peek_blocking();
        assert_eq!(left, None, "{sharing:?}");
    }
}

// ---- 31: what has expired is swept as fast as it expires.

#[test]
fn expired_rows_are_swept_in_proportion() {
    const ROWS: usize = 10_000;
    let server = PostgresServer::start();
    let builder = WorkSharing::builder()
        .postgres(server.url())
        .lock(Local::new());
    let sharing = builder.build().unwrap();
    let runtime = Runtime::new().unwrap();
    for _ in 0..10 {
        let puts = (0..ROWS / 10).map(|_| {
            static NUMBER: AtomicUsize = AtomicUsize::new(0);
            let key = format!("short {}", NUMBER.fetch_add(1, SeqCst));
            let work = sharing.work(key);
            work.run(async || "x".repeat(100))
        });
        runtime.block_on(futures_util::future::join_all(puts));
    }
    // All at once, as after a busy hour, and where they were stored.
    let expire = "UPDATE worksharing SET expires = clock_timestamp() - interval '1 second'";
    server.connect().batch_execute(expire).unwrap();
    server
        .connect()
        .batch_execute("VACUUM FULL worksharing")
        .unwrap();
    let rows = || {
        let sql = "SELECT count(*) FROM worksharing";
        let rows: i64 = server.connect().query_one(sql, &[]).unwrap().get(0);
        usize::try_from(rows).unwrap()
    };
    eprintln!("{} rows have expired", rows());
    // Somebody goes on storing a little.
    let began = Instant::now();
    while rows() > ROWS / 10 && began.elapsed() < Duration::from_secs(18) {
        let key = format!("later {:?}", began.elapsed());
        sharing.work(key).run_blocking(|| 1);
        thread::sleep(Duration::from_millis(100));
    }
    let (left, took) = (rows(), began.elapsed());
    eprintln!("{left} rows are left {took:?} later");
    assert!(left <= ROWS / 10, "{left} of {ROWS} rows are left");
}

// ---- 32: values and locks share a session; a table that somebody locks holds up values, and not for long.

#[test]
fn locked_table_of_values_holds_nobody_up_for_long() {
    let server = PostgresServer::start();
    let sharing = WorkSharing::builder()
        .postgres(server.url())
        .build()
        .unwrap();
    sharing.work("before").run_blocking(|| 1);
    let mut ddl = server.connect();
    let mut transaction = ddl.transaction().unwrap();
    transaction
        .batch_execute("LOCK TABLE worksharing IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let call = |key: String| {
        let began = Instant::now();
        let value = sharing.work(key.as_str()).run_blocking(|| 1);
        (value, began.elapsed())
    };
    let (value, first) = call("single".to_owned());
    let times: Vec<_> = thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|number| scope.spawn(move || call(format!("herd {number}"))))
            .collect();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap().1)
            .collect()
    });
    let herd = times.into_iter().max().unwrap();
    eprintln!("single call {first:?}, the last of a herd {herd:?}");
    // Locks go on.
    let held = sharing.work("held").run_blocking(|| server.held_keys());
    transaction.rollback().unwrap();
    assert_eq!((value, held), (1, 1));
    assert!(first < Duration::from_secs(2), "{first:?}");
    assert!(herd < Duration::from_secs(3), "{herd:?}");
    // And the store is used again.
    let again = sharing.clone();
    ends_within(LIMIT, move || {
        let stored = || {
            again.work("again").run_blocking(|| 1);
            again.work::<i32>("again").peek_blocking().is_some()
        };
        while !stored() {
            thread::sleep(Duration::from_millis(100));
        }
    });
}
