//! A process that does nothing wakes for nothing.

use std::process;
use std::thread;
use std::time::Duration;

use tests::{RedisServer, sleeps, thread_names, wait_until};
use worksharing::WorkSharing;
use worksharing::lock::Local;

/// By then the thread for timers has ended.
const LIMIT: Duration = Duration::from_secs(40);
const WATCHED: Duration = Duration::from_secs(5);

#[test]
fn idle_link_wakes_nobody() {
    let redis = RedisServer::start();
    let builder = WorkSharing::builder().redis(redis.url());
    let sharing = builder.lock(Local::default()).build().unwrap();
    assert_eq!(sharing.work("used").run_blocking(|| 1), 1);
    let us = process::id();
    let has_timers = || {
        let mut names = thread_names(us).into_iter();
        names.any(|name| name.starts_with("worksharing tim"))
    };
    wait_until(LIMIT, "there is a thread for timers", has_timers);
    let took = wait_until(LIMIT, "it has ended", || !has_timers());
    eprintln!("it ended after {took:?}");
    let before = sleeps(us, "worksharing");
    assert_eq!(before.len(), 1, "the link's thread is there: {before:?}");
    thread::sleep(WATCHED);
    assert_eq!(sleeps(us, "worksharing"), before);
    assert_eq!(sharing.work("again").run_blocking(|| 2), 2);
    // A new thread has its name a moment after it has begun.
    wait_until(LIMIT, "it would be seen", || {
        sleeps(us, "worksharing") != before
    });
}
