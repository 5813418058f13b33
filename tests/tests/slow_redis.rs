//! Redis over a slow line, a byte at a time, or silent after its handshake. Case 60; numbers 27 and 28 of the
//! issue on bounds.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use tests::{Proxy, Servers, SilentServer, ends_within};
use tokio::runtime::Runtime;
use worksharing::WorkSharing;

/// Redis, once directly and once over a line that can be made slow.
struct Line {
    proxy: Proxy,
    direct: WorkSharing,
    slow: WorkSharing,
    _servers: Servers,
}

impl Line {
    fn start() -> Self {
        let servers = Servers::start();
        let proxy = Proxy::to(servers.redis.port());
        let slow = servers.builder().redis(proxy.redis_url());
        Self {
            direct: servers.sharing(),
            slow: slow.build().unwrap(),
            proxy,
            _servers: servers,
        }
    }
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let value = run();
    (value, began.elapsed())
}

// ---- 27: a large value takes its time, is read once, and does not stand before small ones.

#[test]
fn large_value_over_a_slow_line_arrives_and_lets_small_ones_pass() {
    const BYTES: usize = 10_000_000;
    let line = Line::start();
    line.direct.work("large").run_blocking(|| "x".repeat(BYTES));
    for number in 0..100_usize {
        let key = format!("small {number}");
        line.direct.work(key).run_blocking(|| number);
    }
    line.slow.check().unwrap();
    // Ten seconds.
    line.proxy.throttle_answers(BYTES / 10);
    let arrived = AtomicBool::new(false);
    let ((length, took), slowest) = thread::scope(|scope| {
        let large = scope.spawn(|| {
            let body = || "computed anew".to_owned();
            let read = timed(|| line.slow.work("large").run_blocking(body).len());
            arrived.store(true, SeqCst);
            read
        });
        thread::sleep(Duration::from_millis(500));
        let mut slowest = Duration::ZERO;
        for number in 0..100 {
            if arrived.load(SeqCst) {
                break;
            }
            let key = format!("small {number}");
            let small = timed(|| line.slow.work(key).run_blocking(|| usize::MAX));
            assert_eq!(small.0, number, "a small value was computed anew");
            slowest = slowest.max(small.1);
            thread::sleep(Duration::from_millis(100));
        }
        (large.join().unwrap(), slowest)
    });
    eprintln!("{length} bytes in {took:?}; meanwhile small values took at most {slowest:?}");
    assert_eq!(length, BYTES, "it was computed anew");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[test]
fn byte_after_byte_holds_nobody_for_long() {
    let line = Line::start();
    line.direct.work("drips").run_blocking(|| "x".repeat(200));
    line.slow.check().unwrap();
    line.proxy.pace_answers(1, Duration::from_millis(500));
    let (blocking, task) = (line.slow.clone(), line.slow.clone());
    let limit = Duration::from_secs(15);
    let ((), took) = ends_within(limit, move || {
        timed(|| drop(blocking.work("drips").run_blocking(|| "anew".to_owned())))
    });
    eprintln!("a blocking caller was held for {took:?}");
    let ((), took) = ends_within(limit, move || {
        let call = task.work("drips").run(async || "anew".to_owned());
        timed(|| drop(Runtime::new().unwrap().block_on(call)))
    });
    eprintln!("a task was held for {took:?}");
    line.proxy.hurry();
}

// ---- 28: a Redis that shakes hands and is silent.

#[test]
fn silence_after_the_handshake_costs_the_first_calls_only() {
    let servers = Servers::start();
    let silent = SilentServer::after_the_handshake_of_redis();
    let builder = servers.builder().redis(silent.redis_url());
    let sharing = builder.build().unwrap();
    let first = thread::scope(|scope| {
        let calls: Vec<_> = (0..4)
            .map(|number| {
                let work = sharing.work(format!("first {number}"));
                scope.spawn(move || timed(|| work.run_blocking(|| 1)).1)
            })
            .collect();
        let times = calls.into_iter().map(|call| call.join().unwrap());
        times.max().unwrap()
    });
    eprintln!("the first calls took {first:?}");
    assert!(first < Duration::from_secs(15), "{first:?}");
    let mut later = Vec::new();
    for number in 0..5 {
        let work = sharing.work(format!("later {number}"));
        let (_, took) = timed(|| work.run_blocking(|| 1));
        eprintln!("a later call took {took:?}");
        later.push(took);
        assert!(took < Duration::from_secs(1), "{later:?}");
        thread::sleep(Duration::from_millis(300));
    }
}
