//! Servers that take connections and do not answer; sessions that hear something all the time. Cases 27 and 30;
//! numbers 2, 7 and 35 of the issue on bounds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use tests::{
    Callers, Mesh, PgBouncer, PoolMode, Proxy, RedisServer, Resources, Run, Servers, Setup,
    SilentServer, Timeline, Worker, scenarios, wait_until,
};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(20);

/// When everything has come to pass that a server's silence is to lead to.
const SETTLED: Duration = Duration::from_secs(9);
/// As long as this nothing may grow any more.
const WATCHED: Duration = Duration::from_secs(9);

/// Threads, descriptors and memory of these processes stay what they were, or become what the first one has,
/// which is well: what a process needs may come late.
#[track_caller]
fn nothing_grows(workers: &[(&str, &Worker)]) {
    let pids: Vec<u32> = workers.iter().map(|(_, worker)| worker.pid()).collect();
    let mut before = Resources::most(&pids, SETTLED);
    let well = before[0];
    before
        .iter_mut()
        .for_each(|before| *before = before.or_more(well));
    let after = Resources::most(&pids, WATCHED);
    let mut grown = Vec::new();
    for ((what, _), (before, after)) in workers.iter().zip(before.iter().zip(&after)) {
        eprintln!("{what}: at first {before}; later {after}");
        let threads = after.threads > before.threads;
        let descriptors = after.descriptors > before.descriptors;
        if threads || descriptors || after.resident_kib > before.resident_kib + 4 * 1024 {
            grown.push(format!("{what}: {before}, then {after}"));
        }
    }
    assert!(grown.is_empty(), "{grown:#?}");
}

#[test]
fn silent_servers_cost_nothing_that_grows() {
    let servers = Servers::start();
    let silent = SilentServer::start();
    let greeting = SilentServer::after_the_handshake_of_redis();
    let (postgres, redis) = (
        Proxy::to(servers.postgres.port()),
        Proxy::to(servers.redis.port()),
    );
    let behind = Setup {
        postgres: Some(postgres.postgres_url()),
        redis: Some(redis.redis_url()),
        ..Setup::default()
    };
    let setups = [
        ("servers that answer", servers.setup()),
        (
            "PostgreSQL silent from the start",
            Setup {
                postgres: Some(silent.postgres_url()),
                ..servers.setup()
            },
        ),
        (
            "with leases",
            Setup {
                postgres: Some(silent.postgres_url()),
                ..servers.leases()
            },
        ),
        (
            "Redis silent from the start",
            Setup {
                redis: Some(silent.redis_url()),
                ..servers.setup()
            },
        ),
        (
            "Redis silent after the handshake",
            Setup {
                redis: Some(greeting.redis_url()),
                ..servers.setup()
            },
        ),
        ("both silent after a while", behind),
    ];
    let mut workers: Vec<_> = setups
        .iter()
        .map(|(what, setup)| (*what, Worker::start(WORKER, setup)))
        .collect();
    assert_eq!(workers[5].1.check(), None);
    postgres.freeze();
    redis.freeze();
    for (_, worker) in &mut workers {
        worker.run(&Run::of("asked once", Duration::from_millis(10)).callers(Callers::Mixed(4)));
    }
    let workers: Vec<_> = workers.iter().map(|(what, it)| (*what, it)).collect();
    nothing_grows(&workers);
    for (what, worker) in workers {
        worker.wait(4);
        scenarios::assert_all_served(&Timeline::of([worker]), 4);
        eprintln!("{what}: served");
    }
}

/// No call may be held up longer than this by servers that do not answer.
const HELD_UP: Duration = Duration::from_secs(15);

#[test]
fn silence_holds_no_call_for_long() {
    let servers = Servers::start();
    let (postgres, redis) = (
        Proxy::to(servers.postgres.port()),
        Proxy::to(servers.redis.port()),
    );
    let values_too = Setup::on_postgres(postgres.postgres_url());
    let both = Setup {
        redis: Some(redis.redis_url()),
        ..values_too.clone()
    };
    let by = |lock: &str, setup: &Setup| Setup {
        lock: Some(lock.to_owned()),
        ..setup.clone()
    };
    let setups = [
        by("session", &both),
        by("lease", &both),
        by("session", &values_too),
        by("lease", &values_too),
    ];
    let mut workers = setups.each_ref().map(|setup| Worker::start(WORKER, setup));
    for worker in &mut workers {
        assert_eq!(worker.check(), None);
        worker.run(&Run::of("before", Duration::ZERO));
        worker.wait(1);
    }
    postgres.freeze();
    redis.freeze();
    for worker in &mut workers {
        worker.run(&Run::of("silence", Duration::from_millis(10)).callers(Callers::Mixed(4)));
    }
    let held_up = workers.each_ref().map(|worker| {
        worker.wait(5);
        Timeline::of([worker]).key("silence").longest_call()
    });
    eprintln!("sessions, leases, and both with values in PostgreSQL: {held_up:?}");
    assert!(held_up.iter().all(|time| *time < HELD_UP), "{held_up:?}");
}

// ---- 7, case 30: notifications all the time must neither keep the heartbeat back nor the end.

#[test]
fn steady_notifications_leave_the_sessions_alone() {
    let servers = Servers::start();
    let ended = Arc::<AtomicBool>::default();
    let call = || {
        let (ends, sharing) = (Arc::clone(&ended), servers.sharing());
        thread::spawn(move || {
            sharing.work("held").run_blocking(|| {
                wait_until(2 * LIMIT, "it ends", || ends.load(SeqCst));
                1
            })
        })
    };
    let holds = call();
    wait_until(LIMIT, "the key is held", || {
        servers.postgres.held_keys() == 1
    });
    let waits = call();
    // The key, the interest in it, and who watches.
    wait_until(LIMIT, "the other one waits for it", || {
        servers.postgres.advisory_locks() == 3
    });
    wait_until(LIMIT, "of the two the one who waits listens", || {
        let names = servers.postgres.session_names();
        let listen = |name: &&String| name.starts_with("worksharing listener");
        names.len() == 3 && names.iter().filter(listen).count() == 1
    });
    let (end, mut client) = (Arc::clone(&ended), servers.postgres.connect());
    let notifying = thread::spawn(move || {
        while !end.load(SeqCst) {
            client.batch_execute("NOTIFY worksharing, '1'").unwrap();
            thread::sleep(Duration::from_millis(200));
        }
    });
    let sessions = servers.postgres.session_pids();
    // The server ends a session that says nothing for 15 s.
    for _ in 0..17 {
        thread::sleep(Duration::from_secs(1));
        assert_eq!(servers.postgres.session_pids(), sessions);
    }
    ended.store(true, SeqCst);
    holds.join().unwrap();
    waits.join().unwrap();
    notifying.join().unwrap();
    let none = BTreeSet::new();
    let took = wait_until(Duration::from_secs(2), "the sessions end", || {
        servers.postgres.session_pids() == none
    });
    eprintln!("the sessions ended {took:?} after their runtimes");
}

// ---- 35: a pooler whose sessions are all in use lets others wait without an answer.

#[test]
fn pool_that_is_too_small_costs_nothing_that_grows() {
    let servers = Servers::start();
    let bouncer = PgBouncer::start_with_pool(&servers.postgres, PoolMode::Session, 3);
    let redis = RedisServer::start();
    let setup = Setup {
        postgres: Some(bouncer.url()),
        redis: Some(redis.url()),
        ..Setup::default()
    };
    // One has both its sessions, the next one has one.
    let mut mesh = Mesh::start(1, WORKER, &setup);
    assert_eq!(mesh.workers[0].check(), None);
    mesh.workers.extend(Mesh::start(2, WORKER, &setup).workers);
    let timeline = mesh.run_all(&Run::of("crowded", Duration::from_millis(100)));
    scenarios::assert_all_served(&timeline, 3);
    let workers: Vec<_> = mesh
        .workers
        .iter()
        .map(|worker| ("behind the pooler", worker))
        .collect();
    nothing_grows(&workers);
    // Room for everybody who is left.
    mesh.workers.truncate(1);
    scenarios::healed(&mut mesh, "with room");
}
