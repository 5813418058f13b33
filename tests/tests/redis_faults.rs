//! A Redis that is full, loading, demoted, paused, locked by a new password, or evicts everything at once. Case 55.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tests::{Options, Ordeal, RedisKind, RedisServer, Run, Servers, Setup, wait_until};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);
const WITHOUT_STORE: &str = "the store is not used";
const NOT_STORED: &str = "values are not stored";

fn set(redis: &RedisServer, name: &str, value: &str) {
    redis.ask::<()>(&["CONFIG", "SET", name, value]);
}

/// A value that two processes share.
fn shared(ordeal: &mut Ordeal) -> Run {
    let run = Run::of(&ordeal.key("kept"), Duration::ZERO);
    ordeal.run(&run);
    assert_eq!(ordeal.run(&run), 0);
    run
}

#[test]
fn full_redis_serves_what_it_has_and_takes_nothing_more() {
    for (kind, policy) in [
        (RedisKind::Redis, "noeviction"),
        (RedisKind::Valkey, "allkeys-lru"),
    ] {
        let servers = Servers::with(kind);
        set(&servers.redis, "maxmemory-policy", policy);
        let mut ordeal = Ordeal::start(2, WORKER, &servers.setup());
        let kept = shared(&mut ordeal);
        set(&servers.redis, "maxmemory", "1");
        ordeal.call_often();
        ordeal.each_says(NOT_STORED, &["maxmemory-policy allkeys-lru"]);
        if policy == "noeviction" {
            assert_eq!(ordeal.run(&kept), 0, "it can be read");
            let said = ordeal.mesh.workers[0].invalidate(&kept.key);
            assert!(said.is_some_and(|said| said.contains("maxmemory")));
        }
        set(&servers.redis, "maxmemory", "0");
        ordeal.ends();
    }
}

#[test]
fn loading_redis_is_done_without_until_it_has_loaded() {
    let mut servers = Servers::start();
    let mut ordeal = Ordeal::start(2, WORKER, &servers.setup());
    let kept = shared(&mut ordeal);
    let fill = "for at = 1, 5000 do redis.call('SET', 'other:' .. at, string.rep('x', 100)) end";
    servers.redis.ask::<()>(&["EVAL", fill, "0"]);
    servers.redis.ask::<()>(&["SAVE"]);
    servers.redis.stop();
    // Two milliseconds for each key.
    let slowly = [
        "--key-load-delay",
        "2000",
        "--loading-process-events-interval-bytes",
        "1024",
    ];
    servers.redis.start_again_with(&slowly);
    ordeal.call_often();
    ordeal.each_says(WITHOUT_STORE, &["loading"]);
    set(&servers.redis, "key-load-delay", "0");
    ordeal.ends();
    assert_eq!(ordeal.run(&kept), 0, "it was loaded");
}

#[test]
fn demoted_redis_is_let_go_of_by_every_process() {
    RedisKind::ALL.into_iter().for_each(demoted);
}

fn demoted(kind: RedisKind) {
    let servers = Servers::with(kind);
    let mut ordeal = Ordeal::start(2, WORKER, &servers.setup());
    // It keeps what it has: nobody answers there.
    servers.redis.ask::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    ordeal.call_until("each computes for itself", |bodies| bodies >= 2);
    ordeal.call_often();
    ordeal.each_says(WITHOUT_STORE, &["replica"]);
    servers.redis.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    ordeal.ends();
}

#[test]
fn paused_redis_holds_nobody_for_long() {
    let servers = Servers::start();
    let mut ordeal = Ordeal::start(2, WORKER, &servers.setup());
    servers.redis.ask::<()>(&["CLIENT", "PAUSE", "8000"]);
    ordeal.call_often();
    ordeal.each_says(WITHOUT_STORE, &["answer", "lost"]);
    ordeal.ends();
}

/// As while a replica takes over in an orderly way.
#[test]
fn redis_whose_writes_are_paused_holds_nobody_for_long() {
    let servers = Servers::start();
    let mut ordeal = Ordeal::start(2, WORKER, &servers.setup());
    let kept = shared(&mut ordeal);
    servers
        .redis
        .ask::<()>(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    // Each process waits for its own write, and for that of the other one.
    ordeal.call();
    assert_eq!(ordeal.run(&kept), 0, "it can be read");
    servers.redis.ask::<()>(&["CLIENT", "UNPAUSE"]);
    ordeal.ends();
}

#[test]
fn new_password_of_redis_is_told_of() {
    let servers = Servers::start();
    let mut known = servers.redis.connect();
    let mut ask = |words: &[&str]| {
        let _: redis::Value = redis::Cmd::new().arg(words).query(&mut known).unwrap();
    };
    let with_password = |password: &str| Setup {
        redis: Some(format!(
            "redis://:{password}@127.0.0.1:{}",
            servers.redis.port()
        )),
        ..servers.setup()
    };
    for (setup, before) in [(servers.setup(), ""), (with_password("before"), "before")] {
        ask(&["CONFIG", "SET", "requirepass", before]);
        let mut ordeal = Ordeal::start(2, WORKER, &setup);
        ask(&["CONFIG", "SET", "requirepass", "afterwards"]);
        ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        ordeal.call_often();
        ordeal.each_says(WITHOUT_STORE, &["password"]);
        assert!(ordeal.said().iter().all(|line| !line.contains("before@")));
        ask(&["CONFIG", "SET", "requirepass", before]);
        ordeal.ends();
        // Who was told nothing for a while asks again whether it is a primary.
        let kept = shared(&mut ordeal);
        ask(&["REPLICAOF", "127.0.0.1", "1"]);
        // Well within its time to live.
        let soon = Duration::from_secs(20);
        wait_until(soon, "it is let go of", || ordeal.run(&kept) >= 2);
        ask(&["REPLICAOF", "NO", "ONE"]);
    }
}

/// Each value is gone before others ask for it, and so are the markers of tags: a miss like any other.
#[test]
fn redis_that_evicts_everything_is_a_miss() {
    RedisKind::ALL.into_iter().for_each(evicting);
}

fn evicting(kind: RedisKind) {
    let servers = Servers::with(kind);
    let mut ordeal = Ordeal::start(2, WORKER, &servers.setup());
    set(&servers.redis, "maxmemory-policy", "allkeys-random");
    let memory: String = servers.redis.ask(&["INFO", "memory"]);
    let used = memory
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    let used: usize = used.unwrap().parse().unwrap();
    set(&servers.redis, "maxmemory", &(used + 300_000).to_string());
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| fill(&servers.redis, &ended));
        let evicted = || -> usize {
            let stats: String = servers.redis.ask(&["INFO", "stats"]);
            let evicted = stats
                .lines()
                .find_map(|line| line.strip_prefix("evicted_keys:"));
            evicted.unwrap().parse().unwrap()
        };
        wait_until(LIMIT, "it evicts", || evicted() > 1_000);
        for at in 0..10 {
            let tags = Options::tags(&["one", "two"]);
            let run = Run::of(
                &ordeal.key(&format!("tagged {at}")),
                Duration::from_millis(5),
            );
            ordeal.run(&run.options(tags));
            ordeal.call();
        }
        ended.store(true, Relaxed);
    });
    set(&servers.redis, "maxmemory", "0");
    ordeal.ends();
}

fn fill(redis: &RedisServer, ended: &AtomicBool) {
    let script = "for at = 1, 100 do redis.call('SET', KEYS[1] .. at .. ':' .. ARGV[1], string.rep('x', 4000)) end";
    let mut connection = redis.connect();
    let mut round = 0;
    while !ended.load(Relaxed) {
        round += 1;
        // It may find nothing to evict.
        let _: redis::RedisResult<()> = redis::cmd("EVAL")
            .arg(script)
            .arg(1)
            .arg("fill")
            .arg(round % 10)
            .query(&mut connection);
    }
}
