//! Values that are refreshed before their time, or expire at times of their own, over processes. Case 44.

use std::time::Duration;

use tests::{
    Call, Callers, Hot, Mesh, Options, Run, Servers, Timeline, Worker, assert_nobody_goes_back,
};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const PROCESSES: usize = 3;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn hot_key_is_refreshed_before_it_expires() {
    const EXPIRIES: u32 = 12;
    let servers = Servers::start();
    let options = Options {
        early_refresh: Some(1.0),
        detach: true,
        ..Options::default()
    };
    let ttl = ms(2_000);
    let run = Run::of("early", ms(200))
        .callers(Callers::Mixed(2))
        .ttl(ttl)
        .options(options)
        .calls(ttl.as_millis() as usize * EXPIRIES as usize / 11, ms(10));
    let mesh = Mesh::start(PROCESSES, WORKER, &servers.setup());
    let hot = Hot::start(mesh, &run, "early");
    let began = hot.began;
    let (timeline, stats) = hot.end(&run);
    let time = Duration::from_micros(timeline.calls().last().unwrap().served_us - began);
    let expiries = time.as_secs_f64() / ttl.as_secs_f64();
    let (bodies, waits) = (timeline.executions(), waits(&timeline));
    eprintln!(
        "{bodies} bodies in {expiries:.1} times to live, {waits} of them waited for; {stats:?}"
    );
    assert!(waits <= 2, "{waits}");
    assert!(
        bodies as f64 <= expiries * 1.3 + 1.0,
        "{bodies} in {expiries}"
    );
    assert!(bodies as f64 >= expiries - 2.0, "{bodies} in {expiries}");
    assert_eq!(timeline.max_overlap(), 1);
    assert_nobody_goes_back(&timeline);
}

/// For how many bodies somebody waited.
fn waits(timeline: &Timeline) -> usize {
    let calls = timeline.calls();
    let bodies = timeline.bodies();
    let was_waited_for = bodies.iter().filter(|body| {
        let Some((end, _)) = body.end else {
            return false;
        };
        // For the better part of it.
        let since = end - 100_000;
        let waits = |call: &&Call| call.called.at_us < since && call.served_us >= end;
        calls.iter().any(|call| waits(&call))
    });
    was_waited_for.count()
}

#[test]
fn keys_that_are_stored_together_do_not_expire_together() {
    const KEYS: usize = 1_000;
    let servers = Servers::start();
    let mut worker = Worker::start(WORKER, &servers.setup());
    // Longer than what is kept for the sake of fences.
    let (ttl, jitter) = (ms(200_000), ms(100_000));
    let options = Options {
        jitter: Some(jitter),
        ..Options::default()
    };
    let run = Run::of("together ", ms(1)).ttl(ttl).options(options);
    worker.run(&run.callers(Callers::Tasks(KEYS)).distinct());
    worker.wait(KEYS);
    let mut left = lives(&servers);
    assert_eq!(left.len(), KEYS);
    left.sort_unstable();
    let tenth = jitter / 10;
    let most = left.iter().map(|from| {
        left.iter()
            .filter(|left| (*from..*from + tenth).contains(*left))
            .count()
    });
    let most = most.max().unwrap();
    eprintln!(
        "at most {most} of {KEYS} keys expire within a tenth of the jitter; {:?}",
        left[0]
    );
    assert!(most < KEYS / 5, "{most}");
    // And none earlier than it may, or later.
    assert!(
        left[0] > ttl - jitter - ms(60_000) && left[KEYS - 1] <= ttl,
        "{left:?}"
    );
}

/// What is left to all values in Redis.
fn lives(servers: &Servers) -> Vec<Duration> {
    let mut redis = servers.redis.connect();
    let keys: Vec<String> = redis::cmd("KEYS").arg("ws:*").query(&mut redis).unwrap();
    let left = keys.iter().map(|key| {
        let left: u64 = redis::cmd("PTTL").arg(key).query(&mut redis).unwrap();
        ms(left)
    });
    left.collect()
}
