//! The PostgreSQL lock where PostgreSQL is not as usual: full lock tables, settings of roles; and what it does to the rest of the database. Cases 8, 10, 12.

use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use postgres::error::SqlState;
use tests::{
    Callers, End, Mesh, PostgresServer, RedisServer, Run, Servers, Setup, Worker, scenarios,
    wait_until,
};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(30);

// ---- Case 8: another session holds the whole lock table.

#[test]
fn full_lock_table_costs_the_lock_not_the_call() {
    let postgres = PostgresServer::start_with(&[
        ("max_locks_per_transaction", "10"),
        ("max_connections", "20"),
        ("autovacuum", "off"),
    ]);
    let redis = RedisServer::start();
    let setup = Setup {
        redis: Some(redis.url()),
        ..Setup::on_postgres(postgres.url())
    };
    let mut mesh = Mesh::start(2, WORKER, &setup);
    for worker in &mut mesh.workers {
        assert_eq!(worker.check(), None);
    }
    let mut hog = postgres.connect();
    fill_lock_table(&mut hog);
    let run = Run::of("crowded ", Duration::from_millis(300))
        .callers(Callers::Mixed(10))
        .distinct();
    let timeline = mesh.run_all(&run);
    assert_eq!((timeline.answers().len(), timeline.errors().len()), (20, 0));
    assert!(
        timeline.longest_call() < Duration::from_secs(10),
        "{:?}",
        timeline.longest_call()
    );
    for worker in &mut mesh.workers {
        assert!(worker.stats().degraded > 0);
        assert!(!worker.warnings().is_empty());
    }
    drop(hog);
    scenarios::healed(&mut mesh, "room again");
    wait_until(LIMIT, "our own locks are freed", || {
        postgres.advisory_locks() == 0
    });
}

fn fill_lock_table(hog: &mut Client) {
    for key in 0.. {
        let taken = hog.execute("SELECT pg_advisory_lock($1)", &[&(key as i64)]);
        if let Err(error) = taken {
            assert_eq!(error.code(), Some(&SqlState::OUT_OF_MEMORY));
            eprintln!("the lock table is full after {key} locks");
            return;
        }
    }
}

// ---- Case 10: what a long computation with waiters does to the database's upkeep: nothing.

#[test]
fn long_computation_delays_no_upkeep() {
    let servers = Servers::start();
    let mut client = servers.postgres.connect();
    client
        .batch_execute("CREATE TABLE busy AS SELECT g AS n FROM generate_series(1, 1000) AS g")
        .unwrap();
    for setup in [
        servers.setup(),
        Setup::on_postgres(servers.postgres.url()),
        servers.leases(),
    ] {
        let mut mesh = Mesh::start(4, WORKER, &setup);
        mesh.run(&Run::of("long", Duration::from_secs(4)).callers(Callers::Mixed(4)));
        mesh.wait_for_leader("long");
        // The others begin to wait.
        thread::sleep(Duration::from_millis(500));
        let began = Instant::now();
        client
            .batch_execute("DELETE FROM busy WHERE n % 2 = 0")
            .unwrap();
        client
            .batch_execute("CREATE INDEX CONCURRENTLY busy_n ON busy (n)")
            .unwrap();
        client.batch_execute("VACUUM busy").unwrap();
        let took = began.elapsed();
        eprintln!("index and vacuum took {took:?} during a computation with waiters");
        assert!(took < Duration::from_secs(2), "{took:?}");
        for _ in 0..20 {
            assert_no_horizon_pinned(&mut client);
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(
            mesh.timeline().ends().len(),
            0,
            "the computation was too short for this test"
        );
        scenarios::assert_computed_once(&mesh.wait(4), 16);
        client.batch_execute("DROP INDEX busy_n").unwrap();
        let redis = &mut servers.redis.connect();
        let () = redis::cmd("FLUSHALL").query(redis).unwrap();
    }
}

/// A session may have a snapshot for the instant of a statement, never while it waits.
fn assert_no_horizon_pinned(client: &mut Client) {
    let sql = "SELECT count(*), count(*) FILTER (WHERE backend_xmin IS NOT NULL AND state <> 'active'),
                      count(*) FILTER (WHERE state_change < now() - interval '200 ms' AND state <> 'idle')
               FROM pg_stat_activity
               WHERE backend_type = 'client backend' AND application_name <> 'the test'";
    let row = client.query_one(sql, &[]).unwrap();
    let (sessions, pinned, lingering): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    assert!(
        sessions > 0 && (pinned, lingering) == (0, 0),
        "{sessions}, {pinned}, {lingering}"
    );
}

// ---- Case 12: settings of the role that get in the way.

#[test]
fn settings_of_the_role_do_not_get_in_the_way() {
    let servers = Servers::start();
    servers
        .postgres
        .connect()
        .batch_execute(
            "CREATE ROLE strict LOGIN;
             GRANT CREATE ON SCHEMA public TO strict;
             ALTER ROLE strict SET default_transaction_isolation = serializable;
             ALTER ROLE strict SET idle_session_timeout = '3s';
             ALTER ROLE strict SET idle_in_transaction_session_timeout = '1s';
             ALTER ROLE strict SET statement_timeout = '1s';
             ALTER ROLE strict SET lock_timeout = '1s';
             ALTER ROLE strict SET default_transaction_read_only = off;",
        )
        .unwrap();
    let url = servers.postgres.url_for("strict");
    for setup in [
        Setup {
            postgres: Some(url.clone()),
            ..servers.setup()
        },
        Setup::on_postgres(url),
    ] {
        scenarios::cold_key(
            WORKER,
            &setup,
            4,
            Duration::from_secs(8),
            Duration::from_millis(200),
        );
        scenarios::failures(WORKER, &setup, 4, End::Fail, Duration::from_millis(500));
    }
}

#[test]
fn idle_session_timeout_of_the_role_spares_an_idle_runtime() {
    let servers = Servers::start();
    let sql = "CREATE ROLE strict LOGIN; ALTER ROLE strict SET idle_session_timeout = '3s'";
    servers.postgres.connect().batch_execute(sql).unwrap();
    let url = servers.postgres.url_for("strict");
    let mut worker = Worker::start(
        WORKER,
        &Setup {
            postgres: Some(url),
            ..servers.setup()
        },
    );
    assert_eq!(worker.check(), None);
    let before = session_pids(&servers);
    assert_eq!(before.len(), 1);
    thread::sleep(Duration::from_secs(8));
    assert_eq!(
        session_pids(&servers),
        before,
        "its session was ended and made anew"
    );
    assert_eq!(worker.stats().degraded, 0);
}

/// The session of the locks. The one that it was probed with goes, since nobody waits.
fn session_pids(servers: &Servers) -> Vec<i32> {
    let sql = "SELECT pid FROM pg_stat_activity
                WHERE usename = 'strict' AND application_name LIKE 'worksharing locks%' ORDER BY pid";
    servers
        .postgres
        .connect()
        .query(sql, &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

// A role that may not create the table is told what to run by hand; its calls complete.
#[test]
fn missing_right_to_create_the_table_is_explained() {
    let server = PostgresServer::start();
    server
        .connect()
        .batch_execute("CREATE ROLE modest LOGIN")
        .unwrap();
    let mut worker = Worker::start(WORKER, &Setup::on_postgres(server.url_for("modest")));
    let trouble = worker.check().expect("check() says nothing");
    eprintln!("check() says: {trouble}");
    let begin = trouble.find("CREATE").expect("the SQL to run");
    assert!(trouble[begin..].contains("UNLOGGED TABLE"), "{trouble}");
    worker.run(&Run::of("modest", Duration::ZERO));
    worker.wait(1);
    assert!(worker.stats().degraded > 0);
}
