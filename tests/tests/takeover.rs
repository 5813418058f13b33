//! Who waits for a key whose holder dies has it at once: not by polling, but because one of those who wait watches for
//! all of them.

use std::thread;
use std::time::Duration;

use tests::{Mesh, Run, Servers, Worker, now_us, wait_until};
use worksharing::Key;

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(30);
/// So long that the waiters' own polls are far apart: the last one was some 100 ms ago, the next comes after 900.
const SETTLED: Duration = Duration::from_millis(2_200);
/// Case 55, for a build without optimization on a machine that may be busy.
const MEDIAN: Duration = Duration::from_millis(50);
const WORST: Duration = Duration::from_millis(250);
/// The poll comes later, as a rule.
const WATCHED: Duration = Duration::from_millis(350);
/// The session in the first seat.
const FIRST: &str = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
                     AND classid::bigint = 3108969644 AND objid::bigint = 1688622352";

/// A process that holds a key until it is killed.
fn leader(servers: &Servers, key: &str) -> Worker {
    let mut worker = Worker::start(WORKER, &servers.setup());
    worker.run(&Run::of(key, Duration::from_secs(100)));
    wait_until(LIMIT, "a body begins", || {
        tests::Timeline::of([&worker]).executions() == 1
    });
    worker
}

/// How many sessions show interest in a key.
fn waiting(servers: &Servers, key: &str) -> usize {
    let interest = Key::new(key).interest_key();
    let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'
               AND classid::bigint << 32 | objid::bigint = $1";
    let row = servers.postgres.connect().query_one(sql, &[&interest]);
    usize::try_from(row.unwrap().get::<_, i64>(0)).unwrap()
}

/// Has all these processes wait for a key.
fn wait_all(servers: &Servers, mesh: &mut Mesh, key: &str) {
    mesh.run(&Run::of(key, Duration::from_millis(20)));
    let processes = mesh.workers.len();
    wait_until(LIMIT, "all wait", || waiting(servers, key) == processes);
}

/// Kills the holder of a key. Returns how long nobody computed it.
fn kill(mesh: &Mesh, mut leader: Worker, key: &str) -> Duration {
    let killed = now_us();
    leader.kill9();
    let timeline = || mesh.timeline().key(key).since(killed);
    wait_until(LIMIT, "another takes over", || timeline().executions() > 0);
    Duration::from_micros(timeline().begins()[0].at_us - killed)
}

fn median(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    eprintln!("taken over after {times:?}");
    (times[times.len() / 2], times[times.len() - 1])
}

// Case 55.
#[test]
fn dead_leaders_are_followed_at_once() {
    let servers = Servers::start();
    let mut mesh = Mesh::start(3, WORKER, &servers.setup());
    let rounds = (0..20).map(|round| {
        let key = format!("round {round}");
        let leader = leader(&servers, &key);
        wait_all(&servers, &mut mesh, &key);
        // Some are killed while everybody waits for long, some at once.
        if round % 2 == 0 {
            thread::sleep(SETTLED);
        }
        let took = kill(&mesh, leader, &key);
        let timeline = mesh.wait(round + 1).key(&key);
        assert_eq!(timeline.executions(), 1, "of those who waited");
        took
    });
    let (median, worst) = median(rounds.collect());
    assert!(median <= MEDIAN, "{median:?}");
    assert!(worst <= WORST, "{worst:?}");
}

#[test]
fn dead_leader_is_noticed_though_the_watcher_goes_too() {
    let servers = Servers::start();
    let mut mesh = Mesh::start(4, WORKER, &servers.setup());
    let mut psql = servers.postgres.connect();
    let rounds = (0..5).map(|round| {
        let key = format!("round {round}");
        let leader = leader(&servers, &key);
        wait_all(&servers, &mut mesh, &key);
        thread::sleep(SETTLED);
        let sql = format!("SELECT pg_terminate_backend(pid) FROM ({FIRST}) AS first");
        assert_eq!(psql.query(&sql, &[]).unwrap().len(), 1, "somebody watches");
        let took = kill(&mesh, leader, &key);
        mesh.wait(round + 1);
        took
    });
    let (median, _) = median(rounds.collect());
    assert!(median <= WATCHED, "{median:?}");
}

/// Deaths while another process watches, which waits for another key, and waits on. It may stand still.
fn watched_by_another(stands_still: bool) -> Duration {
    let servers = Servers::start();
    let mut watcher = Mesh::start(1, WORKER, &servers.setup());
    let mut others = Mesh::start(2, WORKER, &servers.setup());
    let _elsewhere = leader(&servers, "elsewhere");
    wait_all(&servers, &mut watcher, "elsewhere");
    let mut psql = servers.postgres.connect();
    wait_until(LIMIT, "somebody watches", || {
        psql.query(FIRST, &[]).unwrap().len() == 1
    });
    if stands_still {
        watcher.workers[0].sigstop();
    }
    let rounds = (0..5).map(|round| {
        let key = format!("round {round}");
        let leader = leader(&servers, &key);
        wait_all(&servers, &mut others, &key);
        thread::sleep(SETTLED);
        let took = kill(&others, leader, &key);
        others.wait(round + 1);
        took
    });
    let (median, _) = median(rounds.collect());
    watcher.workers[0].sigcont();
    assert_eq!(watcher.timeline().executions(), 0);
    median
}

#[test]
fn one_watches_for_the_keys_of_others() {
    let median = watched_by_another(false);
    assert!(median <= WATCHED, "{median:?}");
}

/// It keeps its seat, for a while.
#[test]
fn dead_leader_is_noticed_though_the_watcher_stands_still() {
    let median = watched_by_another(true);
    assert!(median <= WATCHED, "{median:?}");
}

/// A program that tells nobody, like the gist.
#[test]
fn keys_that_are_let_go_of_without_a_word_are_noticed() {
    let servers = Servers::start();
    let mut mesh = Mesh::start(2, WORKER, &servers.setup());
    let mut psql = servers.postgres.connect();
    let rounds = (0..5).map(|round| {
        let text = format!("round {round}");
        let lock = Key::new(&*text).lock_key();
        psql.query("SELECT pg_advisory_lock($1)", &[&lock]).unwrap();
        wait_all(&servers, &mut mesh, &text);
        thread::sleep(SETTLED);
        let released = now_us();
        psql.query("SELECT pg_advisory_unlock($1)", &[&lock])
            .unwrap();
        let timeline = mesh.wait(round + 1).key(&text);
        assert_eq!(timeline.executions(), 1);
        Duration::from_micros(timeline.begins()[0].at_us - released)
    });
    let (median, _) = median(rounds.collect());
    assert!(median <= WATCHED, "{median:?}");
}

#[test]
fn nobody_watches_when_nobody_waits() {
    let servers = Servers::start();
    let mut mesh = Mesh::start(2, WORKER, &servers.setup());
    let leader = leader(&servers, "key");
    wait_all(&servers, &mut mesh, "key");
    let mut psql = servers.postgres.connect();
    wait_until(LIMIT, "somebody watches", || {
        psql.query(FIRST, &[]).unwrap().len() == 1
    });
    kill(&mesh, leader, "key");
    mesh.wait(1);
    wait_until(LIMIT, "no lock is left, and no seat", || {
        servers.postgres.advisory_locks() == 0
    });
    // Between two heartbeats nothing is said.
    let sql = "SELECT pid, query_start::text FROM pg_stat_activity
                WHERE application_name LIKE 'worksharing%' AND query NOT LIKE '%pg_is_in_recovery%'
                ORDER BY 1, 2";
    let mut said = || {
        let rows = psql.query(sql, &[]).unwrap();
        let row = |row: &postgres::Row| (row.get::<_, i32>(0), row.get::<_, String>(1));
        rows.iter().map(row).collect::<Vec<_>>()
    };
    wait_until(LIMIT, "nothing is said for a second", || {
        let before = said();
        thread::sleep(Duration::from_secs(1));
        before == said()
    });
}
