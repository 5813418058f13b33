//! Where session locks cannot work, and the lease rows that work there. Case 9.

use std::time::Duration;

use tests::{
    Callers, End, Mesh, PgBouncer, PoolMode, PostgresServer, RedisServer, Run, Servers, Setup,
    Worker, scenarios, wait_until,
};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(30);
/// Nobody tells the waiters of a released lease: they look again, at the latest after this time.
const LEASE_HANDOVER: Duration = Duration::from_secs(2);
/// When a lease that nobody renews has run out and somebody has noticed.
const LEASE: Duration = Duration::from_secs(15 + 3);

// ---- Case 9: behind a transaction-pooling PgBouncer, behind a session-pooling one, on a standby.

#[test]
fn transaction_pooler_is_refused_for_session_locks() {
    let servers = Servers::start();
    let bouncer = PgBouncer::start(&servers.postgres, PoolMode::Transaction);
    let session = Some("session".to_owned());
    let setup = Setup {
        postgres: Some(bouncer.url()),
        lock: session,
        ..servers.setup()
    };
    let mut mesh = Mesh::start(2, WORKER, &setup);
    let trouble = mesh.workers[0].check().expect("check() says nothing");
    eprintln!("check() says: {trouble}");
    assert!(trouble.to_lowercase().contains("pgbouncer"), "{trouble}");
    let timeline =
        mesh.run_all(&Run::of("pooled", Duration::from_millis(500)).callers(Callers::Mixed(4)));
    assert_eq!((timeline.answers().len(), timeline.errors().len()), (8, 0));
    assert!(timeline.executions() <= 2, "single-flight in each process");
    assert!(mesh.workers[0].stats().degraded > 0);
    drop(mesh);
    // Whatever was tried there must not stay locked in the pooler's sessions.
    wait_until(LIMIT, "no lock is left", || {
        servers.postgres.advisory_locks() == 0
    });
}

// Values go through the pooler, locks and notifications go around it.
#[test]
fn direct_url_for_the_locks_keeps_sessions_beside_a_pooler() {
    let servers = Servers::start();
    let bouncer = PgBouncer::start(&servers.postgres, PoolMode::Transaction);
    let setup = Setup {
        postgres: Some(bouncer.url()),
        lock_url: Some(servers.postgres.url()),
        ..Setup::default()
    };
    let mut mesh = Mesh::start(3, WORKER, &setup);
    assert_eq!(mesh.workers[0].check(), None);
    let run = Run::of("beside", Duration::from_secs(2)).callers(Callers::Mixed(4));
    mesh.run(&run);
    wait_until(LIMIT, "the key is locked by a session", || {
        servers.postgres.advisory_locks() > 0
    });
    let timeline = mesh.wait_for_answers("beside", 12);
    assert_eq!(timeline.executions(), 1);
    // The value is behind the pooler.
    assert_eq!(mesh.bodies_of(&Run::of("beside", Duration::ZERO)), 0);
    let said: Vec<_> = mesh.workers.iter().flat_map(Worker::warnings).collect();
    assert!(said.is_empty(), "{said:?}");
}

// A server of its own for the locks, and another for the values.
#[test]
fn locks_may_be_on_another_server_than_values() {
    let [locks, values] = [(); 2].map(|()| PostgresServer::start());
    let setup = Setup {
        postgres: Some(values.url()),
        lock_url: Some(locks.url()),
        ..Setup::default()
    };
    let mut mesh = Mesh::start(2, WORKER, &setup);
    let run = Run::of("apart", Duration::from_secs(2));
    mesh.run(&run);
    wait_until(LIMIT, "the key is locked", || locks.advisory_locks() > 0);
    assert_eq!(values.advisory_locks(), 0);
    assert_eq!(mesh.wait_for_answers("apart", 2).executions(), 1);
    assert_eq!(mesh.workers[0].invalidate("apart"), None);
    assert_eq!(mesh.bodies_of(&run), 1);
}

// Left to itself the runtime locks by leases there; `check()` still says what is the matter, since leases
// notice a dead process later. Whoever asks for leases is not told.
#[test]
fn transaction_pooler_gets_leases_by_itself() {
    let servers = Servers::start();
    let bouncer = PgBouncer::start(&servers.postgres, PoolMode::Transaction);
    let setup = Setup {
        postgres: Some(bouncer.url()),
        ..servers.setup()
    };
    let mut worker = Worker::start(WORKER, &setup);
    let trouble = worker.check().expect("check() says nothing");
    eprintln!("check() says: {trouble}");
    assert!(trouble.contains("Lease"), "{trouble}");
    let said = worker.warnings();
    assert!(said.iter().any(|line| line.contains("lease")), "{said:?}");
    drop(worker);
    scenarios::cold_key(WORKER, &setup, 4, Duration::from_secs(2), LEASE_HANDOVER);
    scenarios::failures(WORKER, &setup, 4, End::Fail, LEASE_HANDOVER);
    let chosen = Setup {
        lock: Some("lease".to_owned()),
        ..setup
    };
    assert_eq!(Worker::start(WORKER, &chosen).check(), None);
    wait_until(LIMIT, "no lock is left", || {
        servers.postgres.advisory_locks() == 0
    });
}

#[test]
fn values_too_go_through_a_transaction_pooler() {
    let server = PostgresServer::start();
    let bouncer = PgBouncer::start(&server, PoolMode::Transaction);
    let setup = Setup::on_postgres(bouncer.url());
    scenarios::cold_key(
        WORKER,
        &setup,
        4,
        Duration::from_secs(1),
        Duration::from_secs(2),
    );
}

#[test]
fn session_pooler_is_as_good_as_none() {
    let servers = Servers::start();
    let bouncer = PgBouncer::start(&servers.postgres, PoolMode::Session);
    let session = Some("session".to_owned());
    let setup = Setup {
        postgres: Some(bouncer.url()),
        lock: session,
        ..servers.setup()
    };
    let mut worker = Worker::start(WORKER, &setup);
    assert_eq!(worker.check(), None);
    drop(worker);
    scenarios::cold_key(
        WORKER,
        &setup,
        4,
        Duration::from_secs(1),
        Duration::from_millis(200),
    );
}

#[test]
fn standby_is_refused() {
    let primary = PostgresServer::start();
    let standby = primary.standby();
    let redis = RedisServer::start();
    let setup = Setup {
        redis: Some(redis.url()),
        ..Setup::on_postgres(standby.url())
    };
    for setup in [&setup, &Setup::on_postgres(standby.url())] {
        let mut mesh = Mesh::start(2, WORKER, setup);
        let trouble = mesh.workers[0].check().expect("check() says nothing");
        eprintln!("check() says: {trouble}");
        assert!(
            ["standby", "recovery"]
                .iter()
                .any(|word| trouble.contains(word)),
            "{trouble}"
        );
        let timeline = mesh.run_all(&Run::of("standby", Duration::from_millis(500)));
        assert_eq!((timeline.answers().len(), timeline.errors().len()), (2, 0));
        assert!(mesh.workers[0].stats().degraded > 0);
    }
}

// ---- Leases, chosen by hand.

#[test]
fn leases_compute_once() {
    let servers = Servers::start();
    scenarios::cold_key(
        WORKER,
        &servers.leases(),
        8,
        Duration::from_secs(2),
        Duration::from_secs(2),
    );
    scenarios::failures(
        WORKER,
        &servers.leases(),
        4,
        End::Fail,
        Duration::from_secs(2),
    );
    assert_eq!(servers.postgres.advisory_locks(), 0);
}

/// A lease of a killed process runs out; nothing frees it before.
#[test]
fn lease_of_a_killed_process_runs_out() {
    let servers = Servers::start();
    scenarios::killed_leader(WORKER, &servers.leases(), 4, LEASE);
}

/// Renewed for as long as the body takes: longer than any lease.
#[test]
fn lease_is_renewed_during_a_long_body() {
    let servers = Servers::start();
    let body = Duration::from_secs(25);
    scenarios::cold_key(WORKER, &servers.leases(), 3, body, LEASE_HANDOVER);
}
