//! The options about the age of values, about waiting and about errors, as far as the attribute has to do with them.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, LazyLock, Mutex};
use std::time::{Duration, Instant};
use std::{hint, thread};

use ui_tests::tick;
use worksharing::{WorkSharing, work_shared};

static SHARING: LazyLock<WorkSharing> = LazyLock::new(WorkSharing::in_memory);

const HOUR: Duration = Duration::from_secs(3600);

/// Bodies wait here until they are let go.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    reached: AtomicU64,
}

impl Gate {
    const fn new() -> Self {
        Self {
            open: Mutex::new(false),
            changed: Condvar::new(),
            reached: AtomicU64::new(0),
        }
    }

    fn pass(&self) {
        self.reached.fetch_add(1, Ordering::Relaxed);
        let open = self.open.lock().unwrap();
        drop(self.changed.wait_while(open, |open| !*open).unwrap());
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn is_reached(&self) {
        wait_until(|| self.reached.load(Ordering::Relaxed) > 0);
    }
}

fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it never comes about"
        );
        hint::spin_loop();
        thread::yield_now();
    }
}

#[test]
fn an_old_value_is_served_while_a_new_one_is_computed() {
    static GATE: Gate = Gate::new();
    static FIRST: AtomicBool = AtomicBool::new(true);
    #[work_shared(ttl = "1ms", stale_while_revalidate = "1h", via = SHARING)]
    fn number() -> u64 {
        if !FIRST.swap(false, Ordering::Relaxed) {
            GATE.pass();
        }
        tick()
    }
    let first = number();
    thread::scope(|scope| {
        let refresher = scope.spawn(|| {
            loop {
                let next = number();
                if next != first {
                    return next;
                }
            }
        });
        GATE.is_reached();
        assert_eq!(number(), first);
        GATE.open();
        assert_ne!(refresher.join().unwrap(), first);
    });
}

#[derive(Debug, Clone, PartialEq)]
struct Failed;

#[test]
fn an_old_value_is_served_in_place_of_an_error() {
    static FAILS: AtomicU64 = AtomicU64::new(0);
    #[work_shared(ttl = "1ms", stale_if_error = HOUR, via = SHARING)]
    fn number() -> Result<u64, Failed> {
        if FAILS.load(Ordering::Relaxed) > 0 {
            FAILS.fetch_add(1, Ordering::Relaxed);
            return Err(Failed);
        }
        Ok(tick())
    }
    FAILS.store(1, Ordering::Relaxed);
    assert_eq!(number(), Err(Failed));
    FAILS.store(0, Ordering::Relaxed);
    let first = number();
    assert!(first.is_ok());
    FAILS.store(1, Ordering::Relaxed);
    wait_until(|| {
        assert_eq!(number(), first);
        FAILS.load(Ordering::Relaxed) > 1
    });
    assert_eq!(number(), first);
}

/// From half of its time to live on, while the value is served still.
#[test]
fn a_value_is_refreshed_early() {
    static GATE: Gate = Gate::new();
    static FIRST: AtomicBool = AtomicBool::new(true);
    #[work_shared(ttl = "6s", early_refresh = 1e9, wait = "20ms", on_timeout = 0, via = SHARING)]
    fn eager() -> u64 {
        if FIRST.swap(false, Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        } else {
            GATE.pass();
        }
        tick() + 1
    }
    #[work_shared(ttl = "1h", early_refresh, jitter = "10%", via = SHARING)]
    fn calm() -> u64 {
        tick()
    }
    let first = eager();
    let leader = || wait_until(|| eager() != first);
    assert_eq!(beside(&GATE, leader, eager), first);
    assert_eq!(calm(), calm());
}

/// What was stored together does not expire together.
#[test]
fn a_time_to_live_is_shortened() {
    #[work_shared(ttl = "4s", jitter = Duration::from_secs(4), via = SHARING)]
    fn by_time(n: u64) -> u64 {
        n + tick()
    }
    #[work_shared(ttl = "4s", jitter = "99.5 %", via = SHARING)]
    fn by_part(n: u64) -> u64 {
        n + tick()
    }
    for number in [by_time, by_part] {
        let first: Vec<u64> = (0..50).map(number).collect();
        let changed = || (0..50).filter(|&n| number(n) != first[n as usize]).count();
        let few = loop {
            let changed = changed();
            if changed > 0 {
                break changed;
            }
            thread::yield_now();
        };
        assert!(few < 40, "{few} of 50 expired together");
    }
}

#[derive(Debug, PartialEq)]
enum Wrong {
    Busy(String),
    Parse,
}

impl From<std::num::ParseIntError> for Wrong {
    fn from(_: std::num::ParseIntError) -> Self {
        Self::Parse
    }
}

/// Another caller computes until the gate is opened.
fn beside<R>(gate: &Gate, leader: impl FnOnce() + Send, follower: impl FnOnce() -> R) -> R {
    thread::scope(|scope| {
        let leader = scope.spawn(leader);
        gate.is_reached();
        let returned = follower();
        gate.open();
        leader.join().unwrap();
        returned
    })
}

#[test]
fn who_has_waited_for_too_long_is_given_something_else() {
    static GATE: Gate = Gate::new();
    #[work_shared(key = "waits", wait = "20ms", on_timeout = Err(Wrong::Busy(name)), via = SHARING)]
    fn waits(name: String, gate: bool) -> Result<String, Wrong> {
        if gate {
            GATE.pass();
        }
        Ok(name)
    }
    let leader = || assert_eq!(waits("leader".into(), true), Ok("leader".into()));
    let follower = beside(&GATE, leader, || waits("follower".into(), false));
    assert_eq!(follower, Err(Wrong::Busy("follower".into())));
    assert_eq!(waits("later".into(), false), Ok("leader".into()));
}

#[test]
fn the_expression_may_return() {
    static GATE: Gate = Gate::new();
    #[work_shared(key = "returns", wait = "20ms", on_timeout = Ok(if text.is_empty() { return Ok(1) } else { text.parse()? }), via = SHARING)]
    fn returns(text: &str, gate: bool) -> Result<u64, Wrong> {
        if gate {
            GATE.pass();
        }
        Ok(7)
    }
    let leader = || assert_eq!(returns("", true), Ok(7));
    let followers = beside(&GATE, leader, || {
        ["", "5", "x"].map(|text| returns(text, false))
    });
    assert_eq!(followers, [Ok(1), Ok(5), Err(Wrong::Parse)]);
}

#[test]
fn who_has_waited_for_too_long_computes() {
    static GATE: Gate = Gate::new();
    #[work_shared(key = "computes", wait = "20ms", on_timeout = "compute", via = SHARING)]
    fn computes(gate: bool) -> u64 {
        if gate {
            GATE.pass();
        }
        tick()
    }
    let own = Mutex::new(0);
    let leader = || *own.lock().unwrap() = computes(true);
    let follower = beside(&GATE, leader, || computes(false));
    assert_ne!(follower, *own.lock().unwrap());
}

#[work_shared(key = "async waits", wait = "20ms", on_timeout = given(name).await, via = SHARING, handle = async_waits_call)]
async fn async_waits(name: String, gate: Option<&tokio::sync::Notify>) -> String {
    if let Some(gate) = gate {
        gate.notified().await;
    }
    name
}

async fn given(name: String) -> String {
    tokio::task::yield_now().await;
    name + " waited"
}

#[tokio::test]
async fn the_expression_may_await() {
    let gate = tokio::sync::Notify::new();
    let leader = async_waits("leader".into(), Some(&gate));
    let follower = async {
        let first = async_waits("one".into(), None).await;
        let second = async_waits_call("two".into(), None).get().await;
        gate.notify_one();
        (first, second)
    };
    let (leader, followers) = tokio::join!(leader, follower);
    assert_eq!(leader, "leader");
    assert_eq!(followers, ("one waited".into(), "two waited".into()));
}

static SLOW: Gate = Gate::new();

#[work_shared(detach, key = "slow", wait = "20ms", on_timeout = format!("not yet, {name}"), via = SHARING)]
fn slow(name: &str) -> String {
    SLOW.pass();
    format!("done, {name}")
}

/// A detached computation is waited for only for so long, by its own caller, too.
#[test]
fn a_caller_leaves_its_detached_computation() {
    assert_eq!(slow("one"), "not yet, one");
    assert_eq!(slow("two"), "not yet, two");
    SLOW.open();
    wait_until(|| SHARING.work::<String>("slow").peek_blocking().is_some());
    assert_eq!(slow("three"), "done, one");
}

static ASYNC_SLOW: tokio::sync::Notify = tokio::sync::Notify::const_new();

#[work_shared(
    detach,
    key = "async slow",
    wait = "20ms",
    on_timeout = Err(n),
    stale_while_revalidate = "10m",
    stale_if_error = "1d",
    early_refresh = 2,
    jitter = "5%",
    ttl = "1m",
    via = SHARING,
    handle = async_slow_call
)]
async fn async_slow(n: u64) -> Result<u64, u64> {
    ASYNC_SLOW.notified().await;
    Ok(n)
}

#[tokio::test]
async fn a_caller_leaves_its_detached_task() {
    assert_eq!(async_slow(1).await, Err(1));
    assert_eq!(async_slow_call(2).get().await, Err(2));
    ASYNC_SLOW.notify_one();
    let is_stored = async {
        while async_slow_call(3).peek().await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_stored)
        .await
        .unwrap();
    assert_eq!(async_slow(3).await, Ok(1));
}

#[work_shared(detach, key = "computes detached", wait = "20ms", on_timeout = "compute", via = SHARING)]
async fn computes_detached(n: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(60)).await;
    n
}

/// Never beside its own detached computation: then it waits on.
#[tokio::test]
async fn a_caller_waits_for_its_own() {
    assert_eq!(computes_detached(1).await, 1);
}
