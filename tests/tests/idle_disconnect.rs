//! Connections that nobody needs, and their end. Case 53.

use std::process;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use tests::{
    PgBouncer, PoolMode, PostgresServer, Proxy, Servers, now_us, thread_names, wait_until,
};
use worksharing::{Builder, PostgresLock, WorkSharing};

const LIMIT: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// How many sessions there are of this kind.
fn sessions(server: &PostgresServer, of: &str) -> usize {
    let names = server.session_names();
    let before = format!("worksharing {of}: ");
    names
        .iter()
        .filter(|name| name.starts_with(&before))
        .count()
}

/// The threads of this process that are connected to a server, or try to be.
fn threads() -> Vec<String> {
    let mut names = thread_names(process::id());
    let is_ours = |name: &String| name.starts_with("worksharing");
    names.retain(|name| is_ours(name) && !name.starts_with("worksharing tim"));
    names
}

fn clients(servers: &Servers) -> usize {
    let mut redis = servers.redis.connect();
    let list: String = redis::cmd("CLIENT").arg("LIST").query(&mut redis).unwrap();
    let is_ours = |line: &&str| line.contains(" name=worksharing:");
    list.lines().filter(is_ours).count()
}

fn waits_until_idle(servers: &Servers) -> Duration {
    wait_until(
        LIMIT,
        "no session, no connection and no thread is left",
        || servers.postgres.sessions() == 0 && clients(servers) == 0 && threads().is_empty(),
    )
}

/// Each with its name: values in Redis, values in PostgreSQL, lease rows.
fn each_setup(test: impl Fn(&str, &Servers, &dyn Fn() -> Builder)) {
    let servers = Servers::start();
    test("redis", &servers, &|| servers.builder());
    let postgres = || WorkSharing::builder().postgres(servers.postgres.url());
    test("postgres", &servers, &postgres);
    test("leases", &servers, &|| builder_of_leases(&servers));
}

fn build(builder: Builder, idle: Duration) -> WorkSharing {
    builder.idle_disconnect(idle).build().unwrap()
}

/// Calls from all at once with a body that takes so long. Returns how many ran.
fn shared(all: &[&WorkSharing], key: &str, body: Duration) -> usize {
    let bodies = AtomicUsize::new(0);
    let barrier = Barrier::new(all.len());
    thread::scope(|scope| {
        let calls = all.iter().map(|sharing| {
            scope.spawn(|| {
                barrier.wait();
                sharing.work(key).ttl(HOUR).run_blocking(|| {
                    bodies.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(body);
                    process::id()
                })
            })
        });
        let calls: Vec<_> = calls.collect();
        for call in calls {
            assert_eq!(call.join().unwrap(), process::id());
        }
    });
    bodies.into_inner()
}

#[test]
fn idle_runtime_has_no_session_and_its_next_call_is_shared() {
    each_setup(|name, servers, builder| {
        let (a, b) = (build(builder(), IDLE), build(builder(), IDLE));
        for round in 0..3 {
            let key = format!("{name} {round}");
            assert_eq!(shared(&[&a, &b], &key, Duration::from_millis(300)), 1);
            assert!(servers.postgres.sessions() > 0 && !threads().is_empty());
            eprintln!("{key}: idle after {:?}", waits_until_idle(servers));
        }
        let stats = (a.stats(), b.stats());
        assert_eq!((stats.0.degraded, stats.1.degraded), (0, 0), "{stats:?}");
        assert_eq!(servers.postgres.advisory_locks(), 0);
    });
}

#[test]
fn key_that_is_held_or_waited_for_keeps_its_session() {
    each_setup(|name, servers, builder| {
        let idle = Duration::from_millis(200);
        let (a, b) = (build(builder(), idle), build(builder(), idle));
        let bodies = shared(&[&a, &b], &format!("long {name}"), Duration::from_secs(3));
        assert_eq!(bodies, 1);
        let stats = (a.stats(), b.stats());
        assert_eq!((stats.0.degraded, stats.1.degraded), (0, 0), "{stats:?}");
        waits_until_idle(servers);
    });
}

/// The value of a key that is kept in the process for this long.
fn local(sharing: &WorkSharing, local: Duration, value: u64) -> u64 {
    let work = sharing.work("local").ttl(HOUR).local(local);
    work.run_blocking(|| value)
}

fn keeps(sharing: &WorkSharing, of: Duration, value: u64) {
    let before = sharing.stats().local;
    wait_until(LIMIT, "it is kept", || {
        assert_eq!(local(sharing, of, 0), value);
        sharing.stats().local > before
    });
}

#[test]
fn values_that_are_relied_on_keep_the_listener() {
    let servers = Servers::start();
    let postgres = &servers.postgres;
    let kept_by = build(servers.builder(), IDLE);
    let changed_by = build(servers.builder(), IDLE);
    assert_eq!(local(&kept_by, HOUR, 1), 1);
    keeps(&kept_by, HOUR, 1);
    let (begun, before) = (Instant::now(), kept_by.stats());
    // Longer than it would be used unheard.
    while begun.elapsed() < 5 * IDLE {
        assert_eq!(
            (sessions(postgres, "locks"), sessions(postgres, "listener")),
            (1, 1)
        );
        assert_eq!(local(&kept_by, HOUR, 0), 1);
        thread::sleep(Duration::from_millis(20));
    }
    let asked = kept_by.stats().hits - before.hits;
    assert!(asked <= 2, "the store was asked {asked} times");
    changed_by
        .work::<u64>("local")
        .invalidate_blocking()
        .unwrap();
    let took = wait_until(LIMIT, "the change is heard", || {
        local(&kept_by, HOUR, 2) == 2
    });
    assert!(took < Duration::from_millis(800), "heard after {took:?}");
    drop(kept_by);
    waits_until_idle(&servers);
}

#[test]
fn values_that_are_relied_on_no_more_let_the_listener_go() {
    let servers = Servers::start();
    let sharing = build(servers.builder(), IDLE);
    let second = Duration::from_secs(2);
    for value in 1..3 {
        sharing.work::<u64>("local").invalidate_blocking().unwrap();
        assert_eq!(local(&sharing, second, value), value);
        keeps(&sharing, second, value);
        waits_until_idle(&servers);
        assert_eq!(local(&sharing, second, 0), value, "of the store");
    }
}

#[test]
fn transactional_invalidation_keeps_its_session() {
    let servers = Servers::start();
    let idle = Duration::from_millis(100);
    let runtime = || build(servers.builder().transactional_invalidation(true), idle);
    // One looks after the outbox all the time, the other only asks now and then whether it is to.
    let (sharing, other) = (runtime(), runtime());
    let call = |value: u64| sharing.work("key").ttl(HOUR).run_blocking(|| value);
    assert_eq!(call(1), 1);
    assert_eq!(other.work("key").run_blocking(|| 0_u64), 1);
    let mut client = servers.postgres.connect();
    let sql = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'worksharing locks%' ORDER BY 1";
    let mut pids = || -> Vec<i32> {
        let rows = client.query(sql, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let before = pids();
    assert_eq!(before.len(), 2);
    thread::sleep(20 * idle);
    assert_eq!(pids(), before, "they were connected anew");
    let sql = "SELECT worksharing_invalidate('key')";
    client.execute(sql, &[]).unwrap();
    wait_until(LIMIT, "it is invalidated", || call(2) == 2);
}

/// In the order of their beginnings: a leader, and one who waits for it. Returns what the latter took to show that.
fn waits(servers: &Servers, leader: &WorkSharing, waiter: &WorkSharing, key: &str) -> Duration {
    let (begun, ends) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
    let call = move |sharing: &WorkSharing| {
        let work = sharing.work(key).ttl(HOUR);
        work.run_blocking(|| {
            begun.fetch_add(1, Ordering::SeqCst);
            wait_until(LIMIT, "it ends", || ends.load(Ordering::SeqCst) == 1);
            7
        })
    };
    thread::scope(|scope| {
        let leads = scope.spawn(move || call(leader));
        wait_until(LIMIT, "it is computed", || {
            begun.load(Ordering::SeqCst) == 1
        });
        wait_until(
            LIMIT,
            "the leader has a session, and does not listen",
            || {
                let of = |kind| sessions(&servers.postgres, kind);
                (of("locks"), of("listener")) == (1, 0)
            },
        );
        let since = now_us();
        let waits = scope.spawn(move || call(waiter));
        let mut client = servers.postgres.connect();
        let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'
                      AND to_hex(classid::bigint) LIKE 'd_______'";
        let mut shown = || client.query_one(sql, &[]).unwrap().get::<_, i64>(0) == 1;
        while !shown() {
            assert!(
                now_us() - since < 60_000_000,
                "the waiter never shows itself"
            );
        }
        let took = Duration::from_micros(now_us() - since);
        thread::sleep(2 * IDLE);
        assert_eq!(sessions(&servers.postgres, "listener"), 1, "of who waits");
        ends.store(1, Ordering::SeqCst);
        assert_eq!((leads.join().unwrap(), waits.join().unwrap()), (7, 7));
        assert_eq!(begun.load(Ordering::SeqCst), 1);
        took
    })
}

#[test]
fn only_who_waits_listens() {
    let servers = Servers::start();
    let (leader, waiter) = (
        build(servers.builder(), HOUR),
        build(servers.builder(), IDLE),
    );
    let mut took = Vec::new();
    for round in 0..5 {
        took.push(waits(&servers, &leader, &waiter, &format!("round {round}")));
        wait_until(LIMIT, "nobody listens", || {
            sessions(&servers.postgres, "listener") == 0
        });
    }
    eprintln!("a waiter that begins without a session is heard after {took:?}");
    took.sort();
    assert!(took[2] < Duration::from_millis(400), "{took:?}");
}

#[test]
fn who_only_finds_values_has_one_session() {
    const RUNTIMES: usize = 20;
    let servers = Servers::start();
    let builder = || WorkSharing::builder().postgres(servers.postgres.url());
    let all: Vec<_> = (0..RUNTIMES).map(|_| build(builder(), HOUR)).collect();
    for sharing in &all {
        assert_eq!(sharing.work("hit").ttl(HOUR).run_blocking(|| 1), 1);
    }
    let most = servers.postgres.sessions();
    let took = wait_until(LIMIT, "each has one", || {
        servers.postgres.sessions() == RUNTIMES
    });
    eprintln!("{RUNTIMES} that only hit: {most} sessions, after {took:?} {RUNTIMES}");
    assert!(most <= 2 * RUNTIMES);
    assert_eq!(sessions(&servers.postgres, "locks"), RUNTIMES);
}

#[test]
fn sessions_are_named_by_the_program_unless_the_url_names_them() {
    let servers = Servers::start();
    let name = |url: String| {
        let sharing = WorkSharing::builder().postgres(url).build().unwrap();
        sharing.check().unwrap();
        servers.postgres.session_names()
    };
    let pid = process::id();
    let names = name(servers.postgres.url());
    for (name, of) in names.iter().zip(["listener", "locks"]) {
        assert!(
            name.starts_with(&format!("worksharing {of}: idle_disc")),
            "{names:?}"
        );
        assert!(
            name.ends_with(&format!(" {pid}")) && name.len() <= 63,
            "{names:?}"
        );
    }
    waits_until_idle(&servers);
    let leases = builder_of_leases(&servers).build().unwrap();
    leases.check().unwrap();
    assert_eq!(servers.postgres.session_names(), ["worksharing leases"]);
    drop(leases);
    waits_until_idle(&servers);
    let names = name(format!("{}?application_name=mine", servers.postgres.url()));
    assert!(names.iter().all(|name| name == "mine"), "{names:?}");
}

fn builder_of_leases(servers: &Servers) -> Builder {
    let builder = WorkSharing::builder().postgres(servers.postgres.url());
    builder.postgres_lock(PostgresLock::Lease)
}

/// A pooler gives its sessions the names of its clients: those of different processes are to be the same.
#[test]
fn sessions_through_a_pooler_are_named_alike() {
    let servers = Servers::start();
    let bouncer = PgBouncer::start(&servers.postgres, PoolMode::Transaction);
    let sharing = WorkSharing::builder()
        .postgres(bouncer.url())
        .build()
        .unwrap();
    assert_eq!(sharing.work("pooled").run_blocking(|| 1), 1);
    let names = servers.postgres.session_names();
    let alike = |name: &String| name == "worksharing leases";
    assert!(names.iter().any(alike), "{names:?}");
}

/// Calls that come at the very moment when the sessions are closed.
#[test]
fn no_call_is_lost_when_the_sessions_end() {
    const ROUNDS: usize = 150;
    each_setup(|name, servers, builder| {
        let idle = Duration::from_millis(40);
        let (a, b) = (build(builder(), idle), build(builder(), idle));
        let mut client = servers.postgres.connect();
        let (begun, before) = (Instant::now(), connected(&mut client));
        for round in 0..ROUNDS {
            let key = format!("{name} {round}");
            let body = Duration::from_millis(round as u64 % 3);
            assert_eq!(shared(&[&a, &b], &key, body), 1, "{key}");
            let pause = 38_000 + 157 * (round as u64 % 31);
            thread::sleep(Duration::from_micros(pause));
        }
        let stats = (a.stats(), b.stats());
        eprintln!(
            "{name}: {ROUNDS} rounds in {:?}: {stats:?}",
            begun.elapsed()
        );
        assert_eq!((stats.0.degraded, stats.1.degraded), (0, 0), "{stats:?}");
        drop((a, b));
        wait_until(LIMIT, "they were connected often", || {
            connected(&mut client) - before > ROUNDS as i64
        });
    });
}

/// How many sessions there were so far, of anybody.
fn connected(client: &mut Client) -> i64 {
    let sql = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()";
    client.query_one(sql, &[]).unwrap().get(0)
}

/// A server that says nothing when it is taken leave of does not keep the link, or its next call.
#[test]
fn server_that_is_silent_at_the_end_is_let_go_of() {
    let servers = Servers::start();
    let proxy = Proxy::to(servers.postgres.port());
    let sharing = build(servers.builder().postgres(proxy.postgres_url()), IDLE);
    assert_eq!(sharing.work("before").run_blocking(|| 1), 1);
    proxy.freeze();
    wait_until(LIMIT, "no thread is left", || threads().is_empty());
    proxy.thaw();
    assert_eq!(sharing.work("after").run_blocking(|| 2), 2);
    assert_eq!(sharing.stats().degraded, 0);
}
