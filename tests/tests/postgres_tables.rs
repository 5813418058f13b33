//! Tables that are dropped, locked by somebody else, or emptied by a crash while they are used. Case 55.

use std::time::Duration;

use tests::{
    Callers, Ordeal, PgBouncer, PoolMode, PostgresServer, Run, Servers, Setup, scenarios,
    wait_until,
};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);

/// All tables of ours that a runtime without an outbox has.
const TABLES: [&str; 3] = ["worksharing", "worksharing_leases", "worksharing_computing"];

fn by_lease(setup: Setup) -> Setup {
    Setup {
        lock: Some("lease".to_owned()),
        ..setup
    }
}

/// Runs a test with values and locks in PostgreSQL: by sessions, and by leases through a pooler.
fn on_each(test: impl Fn(&PostgresServer, &Setup)) {
    let server = PostgresServer::start();
    test(&server, &Setup::on_postgres(server.url()));
    let bouncer = PgBouncer::start(&server, PoolMode::Transaction);
    test(&server, &by_lease(Setup::on_postgres(bouncer.url())));
}

/// A computation that lasts long enough to be told of.
fn long(key: &str) -> Run {
    Run::of(key, Duration::from_millis(1_800))
}

/// One process computes, and the other is told.
fn others_are_told(ordeal: &mut Ordeal) {
    let key = &ordeal.key("told");
    let [one, other] = &mut ordeal.mesh.workers[..] else {
        panic!("two processes")
    };
    one.run(&long(key));
    wait_until(LIMIT, "the other process is told", || {
        other.computing().iter().any(|it| it.key == *key)
    });
    wait_until(LIMIT, "it has ended", || other.computing().is_empty());
}

// They are made again by whoever needs them, and nothing is said of it.
#[test]
fn dropped_tables_are_made_again() {
    on_each(|server, setup| {
        let mut ordeal = Ordeal::start(2, WORKER, setup);
        others_are_told(&mut ordeal);
        for _ in 0..3 {
            server.psql(&format!("DROP TABLE IF EXISTS {}", TABLES.join(", ")));
            assert!(ordeal.call() <= 2);
            assert_eq!(ordeal.call(), 1, "{setup:?}");
        }
        // While they are used: a lease is lost with its table, and a value with its own.
        let key = ordeal.key("dropped");
        let run = Run::of(&key, Duration::from_millis(800));
        ordeal.mesh.run(&run.callers(Callers::Mixed(2)));
        ordeal.mesh.wait_for_leader(&key);
        server.psql(&format!("DROP TABLE IF EXISTS {}", TABLES.join(", ")));
        let timeline = ordeal.mesh.wait_for_answers(&key, 4);
        scenarios::assert_all_served(&timeline, 4);
        others_are_told(&mut ordeal);
        assert_eq!(ordeal.said(), [""; 0]);
        ordeal.ends();
    });
}

#[test]
fn locked_tables_are_done_without_until_they_are_free() {
    let locked = |server: &PostgresServer, setup: &Setup| {
        let mut ordeal = Ordeal::start(2, WORKER, setup);
        let sessions = server.sessions();
        let mut other = server.connect();
        let mut locked = other.transaction().unwrap();
        for table in TABLES {
            let lock = format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
            let is_there = locked.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]);
            if is_there.unwrap().get(0) {
                locked.batch_execute(&lock).unwrap();
            }
        }
        ordeal.call_often();
        ordeal.each_says("the store is not used", &["locked"]);
        if setup.lock.is_some() {
            ordeal.each_says("computing without the lock", &["locked"]);
        } else {
            assert!(
                ordeal
                    .said()
                    .iter()
                    .all(|line| !line.contains("without the lock"))
            );
        }
        assert!(
            server.sessions() <= sessions.max(4),
            "{}",
            server.sessions()
        );
        locked.rollback().unwrap();
        ordeal.ends();
    };
    on_each(locked);
    let server = PostgresServer::start();
    locked(&server, &by_lease(Setup::on_postgres(server.url())));
}

#[test]
fn locked_board_hides_what_is_computed_and_nothing_else() {
    let servers = Servers::start();
    for setup in [servers.setup(), servers.leases()] {
        let mut ordeal = Ordeal::start(2, WORKER, &setup);
        others_are_told(&mut ordeal);
        let mut other = servers.postgres.connect();
        let mut locked = other.transaction().unwrap();
        let lock = "LOCK TABLE worksharing_computing IN ACCESS EXCLUSIVE MODE";
        locked.batch_execute(lock).unwrap();
        let key = ordeal.key("hidden");
        ordeal.mesh.run(&long(&key));
        ordeal.mesh.wait_for_leader(&key);
        let mut said = String::new();
        wait_until(LIMIT, "it is said why nothing can be told", || {
            let computing = ordeal.mesh.workers[0].try_computing();
            said = computing.err().unwrap_or_default();
            said.contains("locked")
        });
        assert_eq!(ordeal.mesh.wait_for_answers(&key, 2).executions(), 1);
        ordeal.call_often();
        assert_eq!(ordeal.said(), [""; 0], "calls do not need it");
        locked.rollback().unwrap();
        others_are_told(&mut ordeal);
        ordeal.ends();
    }
}

#[test]
fn tables_that_a_crash_has_emptied_are_as_good_as_new() {
    let server = PostgresServer::start();
    let alone = Setup::on_postgres(server.url());
    // Not through PgBouncer, which waits for 15 s before it connects again.
    for setup in [&alone, &by_lease(alone.clone())] {
        let mut ordeal = Ordeal::start(2, WORKER, setup);
        let kept =
            Run::of(&ordeal.key("kept"), Duration::ZERO).options(tests::Options::tags(&["tag"]));
        ordeal.run(&kept);
        assert_eq!(ordeal.run(&kept), 0);
        let key = ordeal.key("crashed");
        ordeal.mesh.run(&long(&key));
        ordeal.mesh.wait_for_leader(&key);
        server.crash();
        let sql = "SELECT count(*) FROM worksharing WHERE expires > now() + interval '55 s'";
        let left: i64 = server.connect().query_one(sql, &[]).unwrap().get(0);
        assert!(
            left <= 1,
            "unlogged tables are emptied, but {left} values are left"
        );
        let timeline = ordeal.mesh.wait_for_answers(&key, 2);
        scenarios::assert_all_served(&timeline, 2);
        assert!(timeline.executions() <= 2, "{timeline:?}");
        ordeal.ends();
        ordeal.run(&kept);
        assert_eq!(ordeal.run(&kept), 0);
        assert_eq!(ordeal.mesh.workers[0].invalidate_tag("tag"), None);
        assert_eq!(ordeal.run(&kept), 1);
        others_are_told(&mut ordeal);
    }
}
