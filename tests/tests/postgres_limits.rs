//! A PostgreSQL server that lets nobody in, or only some; roles that may do little. Case 55.

use std::thread;
use std::time::Duration;

use tests::{Ordeal, PgBouncer, PoolMode, PostgresServer, RedisServer, Run, Setup, wait_until};
use worksharing::Key;

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(30);

/// A server with a role that is no superuser, for whom no session is kept free, and a Redis beside it.
struct Served {
    postgres: PostgresServer,
    redis: RedisServer,
}

impl Served {
    fn start(settings: &[(&str, &str)]) -> Self {
        let postgres = PostgresServer::start_with(settings);
        postgres.psql("CREATE ROLE app LOGIN; GRANT CREATE ON SCHEMA public TO app");
        Self {
            postgres,
            redis: RedisServer::start(),
        }
    }

    fn setup(&self) -> Setup {
        Setup {
            redis: Some(self.redis.url()),
            ..Setup::on_postgres(self.postgres.url_for("app"))
        }
    }

    fn end_sessions(&self) {
        self.postgres.terminate(&self.postgres.session_pids());
    }

    /// At most so many sessions for the role, from now on and for those that are there.
    fn limit(&self, sessions: i32) {
        self.postgres
            .psql(&format!("ALTER ROLE app CONNECTION LIMIT {sessions}"));
        self.end_sessions();
        wait_until(LIMIT, "sessions have ended", || {
            sessions < 0 || self.postgres.sessions() <= sessions.cast_unsigned() as usize
        });
    }
}

const WITHOUT_LOCK: &str = "computing without the lock";

#[test]
fn role_without_a_session_left_is_done_without_until_it_has_room() {
    let served = Served::start(&[]);
    let mut ordeal = Ordeal::start(2, WORKER, &served.setup());
    served.limit(0);
    ordeal.call_until("each computes for itself", |bodies| bodies >= 2);
    ordeal.call_often();
    ordeal.each_says(WITHOUT_LOCK, &["CONNECTION LIMIT"]);
    served.limit(-1);
    ordeal.ends();
}

#[test]
fn full_server_is_done_without_until_it_has_room() {
    let served = Served::start(&[("max_connections", "12")]);
    let mut ordeal = Ordeal::start(2, WORKER, &served.setup());
    // Whoever is faster.
    let mut others = Vec::new();
    let config: postgres::Config = served.postgres.url_for("app").parse().unwrap();
    wait_until(LIMIT, "others have all sessions", || {
        served.end_sessions();
        while let Ok(other) = config
            .clone()
            .application_name("the test")
            .connect(postgres::NoTls)
        {
            others.push(other);
        }
        served.postgres.sessions() == 0
    });
    ordeal.call_until("each computes for itself", |bodies| bodies >= 2);
    ordeal.call_often();
    ordeal.each_says(WITHOUT_LOCK, &["max_connections"]);
    drop(others);
    ordeal.ends();
}

/// Locks are worth more than being told of releases. Who has no session computes for itself.
#[test]
fn room_for_one_session_serves_one_process() {
    let served = Served::start(&[]);
    let mut alone = Ordeal::start(1, WORKER, &served.setup());
    // Somebody waits, so that both of its sessions are there; whichever comes first must leave the place to the lock's.
    let key = alone.key("held by another");
    let mut other = served.postgres.connect();
    let lock_key = format!("x'c{}'::bigint", &Key::new(key.as_str()).hex()[17..]);
    let held = other.query_one(&format!("SELECT pg_try_advisory_lock({lock_key})"), &[]);
    assert!(held.unwrap().get::<_, bool>(0));
    alone.mesh.run(&Run::of(&key, Duration::ZERO));
    wait_until(LIMIT, "it listens", || served.postgres.sessions() == 2);
    served.limit(1);
    let soon = Duration::from_secs(15);
    wait_until(soon, "it has a session for its locks", || {
        let before = alone.mesh.stats().degraded;
        alone.call();
        alone.mesh.stats().degraded == before
    });
    drop(other);
    assert_eq!(alone.mesh.wait_for_answers(&key, 1).errors().len(), 0);
    assert_eq!(alone.mesh.workers[0].check(), None);
    let before = alone.mesh.stats().degraded;
    (0..5).for_each(|_| assert_eq!(alone.call(), 1));
    assert_eq!(alone.mesh.stats().degraded, before);
    let mut other = Ordeal::start_amid(1, WORKER, &served.setup());
    other.call_often();
    other.each_says(WITHOUT_LOCK, &["CONNECTION LIMIT"]);
    alone.mesh.workers.append(&mut other.mesh.workers);
    served.limit(-1);
    alone.ends();
}

/// Its defaults do not hold for sessions that set their own.
#[test]
fn read_only_role_can_lock_and_store() {
    let served = Served::start(&[]);
    let role = "ALTER ROLE app SET default_transaction_read_only = on";
    served.postgres.psql(role);
    let bouncer = PgBouncer::start(&served.postgres, PoolMode::Transaction);
    let pooled = bouncer.url().replace("postgres@", "app@");
    let by_lease = |url: String| Setup {
        lock: Some("lease".to_owned()),
        ..Setup::on_postgres(url)
    };
    let setups = [
        served.setup(),
        Setup::on_postgres(served.postgres.url_for("app")),
        by_lease(served.postgres.url_for("app")),
        by_lease(pooled),
    ];
    for setup in setups {
        let mut ordeal = Ordeal::start(2, WORKER, &setup);
        assert_eq!(ordeal.call(), 1, "{setup:?}");
        assert_eq!(ordeal.said(), [""; 0]);
    }
}

/// A statement that somebody's lock holds up for longer than the role's default allows goes on all the same.
#[test]
fn tiny_statement_timeout_of_the_role_is_overruled() {
    let served = Served::start(&[]);
    let role = "ALTER ROLE app SET statement_timeout = '20ms'";
    served.postgres.psql(role);
    let alone = Setup::on_postgres(served.postgres.url_for("app"));
    let by_lease = Setup {
        lock: Some("lease".to_owned()),
        ..alone.clone()
    };
    let mut other = served.postgres.connect();
    for (setup, table) in [(alone, "worksharing"), (by_lease, "worksharing_leases")] {
        let mut ordeal = Ordeal::start(2, WORKER, &setup);
        for _ in 0..5 {
            let mut locked = other.transaction().unwrap();
            let lock = format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
            locked.batch_execute(&lock).unwrap();
            let bodies = thread::scope(|scope| {
                let call = scope.spawn(|| ordeal.call());
                thread::sleep(Duration::from_millis(60));
                locked.rollback().unwrap();
                call.join().unwrap()
            });
            assert_eq!(bodies, 1, "{setup:?}");
        }
        assert_eq!(ordeal.said(), [""; 0]);
    }
}
