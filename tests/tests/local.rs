//! Values that are kept in the processes: what is heard of changes, and what is not. Case 50.

use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::{
    Callers, Mesh, Options, PostgresServer, Proxy, Run, Servers, Timeline, now_us, wait_until,
};
use worksharing::{PostgresLock, WorkSharing};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The value that is stored, or this one.
fn call(sharing: &WorkSharing, value: u64) -> u64 {
    let work = sharing.work("key").tag("tag").ttl(HOUR).local(HOUR);
    work.run_blocking(|| value)
}

fn invalidate(sharing: &WorkSharing) {
    sharing.work::<u64>("key").invalidate_blocking().unwrap();
}

/// Calls until a call is answered from the process, as all are that hear of changes.
fn keeps(sharing: &WorkSharing, value: u64) {
    let before = sharing.stats().local;
    wait_until(LIMIT, "the value is kept", || {
        assert_eq!(call(sharing, 0), value);
        sharing.stats().local > before
    });
}

/// Calls until nothing but this is returned. Returns how long that took.
fn sees(sharing: &WorkSharing, value: u64) -> Duration {
    let begun = Instant::now();
    wait_until(LIMIT, "the change is seen", || {
        call(sharing, value) == value
    });
    begun.elapsed()
}

/// Keeps it for longer than it would unheard, without asking the store.
fn keeps_for_long(sharing: &WorkSharing, value: u64) {
    keeps(sharing, value);
    let (begun, before) = (Instant::now(), sharing.stats());
    while begun.elapsed() < Duration::from_millis(2_500) {
        assert_eq!(call(sharing, 0), value);
        thread::sleep(Duration::from_millis(5));
    }
    let asked = sharing.stats().hits - before.hits;
    assert!(asked <= 2, "the store was asked {asked} times");
}

/// When each process has last given what was stored before, after the invalidation had returned.
fn last_old(timeline: &Timeline, old: &str, since: u64, pids: &[u32]) -> Vec<Duration> {
    let last = |pid: &u32| {
        let served = timeline.process(*pid).describe(since..=u64::MAX);
        let old = served.iter().filter(|(_, text)| text.contains(old));
        old.map(|(at, _)| *at).max().unwrap_or(since)
    };
    let after = |at: u64| Duration::from_micros(at.saturating_sub(since));
    pids.iter().map(last).map(after).collect()
}

#[test]
fn an_invalidation_reaches_all_processes() {
    const PROCESSES: usize = 8;
    let servers = Servers::start();
    let mut mesh = Mesh::start(PROCESSES, WORKER, &servers.setup());
    let options = Options {
        local: Some(HOUR),
        ..Options::default()
    };
    let run = Run::of("hot", Duration::from_millis(1))
        .callers(Callers::Threads(1))
        .options(options)
        .calls(2_000, Duration::from_millis(4));
    mesh.run(&run);
    let pids: Vec<u32> = mesh.workers.iter().map(|worker| worker.pid()).collect();
    wait_until(
        LIMIT,
        "all processes have kept it for longer than they would unheard",
        || {
            mesh.workers
                .iter_mut()
                .all(|worker| worker.stats().local > 500)
        },
    );
    let mut times = Vec::new();
    for round in 0..3 {
        let old = mesh.timeline().last_value().unwrap();
        let bodies = mesh.timeline().executions();
        assert_eq!(mesh.workers[round].invalidate("hot"), None);
        let returned = now_us();
        wait_until(LIMIT, "it is computed anew", || {
            mesh.timeline().executions() > bodies
        });
        thread::sleep(Duration::from_millis(300));
        let last = last_old(&mesh.timeline(), &old, returned, &pids);
        times.push(*last.iter().max().unwrap());
    }
    let timeline = mesh.wait(run.calls);
    let stats = mesh.stats();
    eprintln!("the last old value of 8 processes, after so long: {times:?}; {stats:?}");
    times.sort();
    assert!(times[1] < Duration::from_millis(50), "{times:?}");
    assert!(timeline.executions() <= 5, "{}", timeline.executions());
    assert!(
        stats.local > 9 * stats.hits && stats.degraded == 0,
        "{stats:?}"
    );
}

fn keyspace_hits(redis: &mut redis::Connection) -> u64 {
    let info: String = redis::cmd("INFO").arg("stats").query(redis).unwrap();
    let mut lines = info.lines();
    let hits = lines.find_map(|line| line.strip_prefix("keyspace_hits:"));
    hits.unwrap().parse().unwrap()
}

#[test]
fn what_was_read_before_an_invalidation_and_comes_after_it_is_not_kept() {
    let servers = Servers::start();
    let proxy = Proxy::to(servers.redis.port());
    let slow = servers.builder().redis(proxy.redis_url()).build().unwrap();
    let other = servers.sharing();
    assert_eq!(call(&other, 1), 1);
    keeps(&slow, 1);
    // What is kept is dropped, and it has to look.
    invalidate(&other);
    assert_eq!(call(&other, 2), 2);
    sees(&slow, 2);
    thread::scope(|scope| {
        invalidate(&slow);
        sees(&other, 3);
        let mut redis = servers.redis.connect();
        let mut looks = || keyspace_hits(&mut redis);
        let before = looks();
        proxy.pace_answers(16, Duration::from_millis(20));
        let late = scope.spawn(|| call(&slow, 0));
        wait_until(LIMIT, "the value is read", || looks() > before);
        invalidate(&other);
        assert_eq!(late.join().unwrap(), 3, "its look was before");
    });
    proxy.hurry();
    assert_eq!(call(&slow, 4), 4);
}

#[test]
fn a_cut_listener_empties_it_and_without_one_a_value_is_kept_for_a_second() {
    let servers = Servers::start();
    let proxy = Proxy::to(servers.postgres.port());
    let cut = servers
        .builder()
        .postgres(proxy.postgres_url())
        .build()
        .unwrap();
    let other = servers.sharing();
    assert_eq!(call(&other, 1), 1);
    keeps_for_long(&cut, 1);
    proxy.refuse();
    let before = cut.stats();
    wait_until(LIMIT, "the store is asked", || {
        assert_eq!(call(&cut, 0), 1);
        cut.stats().hits > before.hits
    });
    keeps(&cut, 1);
    invalidate(&other);
    assert_eq!(call(&other, 2), 2);
    let unheard = sees(&cut, 2);
    eprintln!("without a listener the change was seen after {unheard:?}");
    assert!(unheard < Duration::from_millis(1_200), "{unheard:?}");
    proxy.admit();
    keeps_for_long(&cut, 2);
    // And it hears again.
    invalidate(&other);
    assert_eq!(call(&other, 3), 3);
    let heard = sees(&cut, 3);
    assert!(heard < Duration::from_millis(500), "{heard:?}");
}

/// A network that passes nothing on, and tells of nothing.
#[test]
fn a_silent_listener_is_not_relied_on() {
    let servers = Servers::start();
    let proxy = Proxy::to(servers.postgres.port());
    let silent = servers
        .builder()
        .postgres(proxy.postgres_url())
        .build()
        .unwrap();
    let other = servers.sharing();
    assert_eq!(call(&other, 1), 1);
    keeps_for_long(&silent, 1);
    proxy.freeze();
    invalidate(&other);
    assert_eq!(call(&other, 2), 2);
    let unheard = sees(&silent, 2);
    eprintln!("with a silent listener the change was seen after {unheard:?}");
    assert!(unheard < Duration::from_millis(1_500), "{unheard:?}");
    proxy.thaw();
}

#[test]
fn where_nobody_listens_a_value_is_kept_for_a_second() {
    let server = PostgresServer::start();
    let directory = TempDir::new().unwrap();
    let lease = || {
        let builder = WorkSharing::builder().postgres(server.url());
        builder.postgres_lock(PostgresLock::Lease).build().unwrap()
    };
    let in_directory = || WorkSharing::in_directory(directory.path()).unwrap();
    for [one, other] in [[lease(), lease()], [in_directory(), in_directory()]] {
        assert_eq!(call(&other, 1), 1);
        keeps(&one, 1);
        invalidate(&other);
        assert_eq!(call(&other, 2), 2);
        let unheard = sees(&one, 2);
        eprintln!("{other:?}: the change was seen after {unheard:?}");
        assert!(unheard < Duration::from_millis(1_200), "{unheard:?}");
        // Its own changes it knows of.
        keeps(&one, 2);
        invalidate(&one);
        assert_eq!(call(&one, 3), 3);
    }
}

#[test]
fn a_tag_a_refresh_and_a_transaction_reach_it() {
    let servers = Servers::start();
    let sharing = || {
        let builder = servers.builder().transactional_invalidation(true);
        builder.build().unwrap()
    };
    let (one, other) = (sharing(), sharing());
    one.check().unwrap();
    let heard = |value| {
        let heard = sees(&one, value);
        assert!(heard < Duration::from_millis(800), "{value}: {heard:?}");
        keeps_for_long(&one, value);
    };
    assert_eq!(call(&other, 1), 1);
    keeps_for_long(&one, 1);
    other.invalidate_tag_blocking("tag").unwrap();
    heard(2);
    let work = other.work("key").tag("tag").ttl(HOUR);
    assert_eq!(work.refresh_blocking(|| 3), 3);
    heard(3);
    servers
        .postgres
        .psql("SELECT worksharing_invalidate('key')");
    heard(4);
    servers
        .postgres
        .psql("SELECT worksharing_invalidate_tag('tag')");
    heard(5);
}
