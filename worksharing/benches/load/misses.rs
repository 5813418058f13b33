//! Values that are not there: every call asks for a key that nobody asked for before.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

use crate::Load;
use crate::bed::{Report, TTL};
use crate::callers;
use crate::rounds::{Contender, Goal, compare, contender};

fn characteristic() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("miss:{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn miss(load: &Load) {
    load.sharing
        .work(characteristic())
        .ttl(TTL)
        .run_blocking(Report::compute);
}

fn port_misses(load: &Load) {
    load.port
        .share(&characteristic(), TTL, Report::compute)
        .expect("port");
}

/// One thread, alone.
pub(crate) fn one_thread(load: &Load) -> Result<()> {
    let contenders = vec![
        contender("worksharing", || {
            Ok(callers::alone(load.time, |_| miss(load)))
        }),
        contender("port", || {
            Ok(callers::alone(load.time, |_| port_misses(load)))
        })
        .goal(Goal::AtMost(1.2)),
    ];
    compare(load.rounds, "µs", contenders)
}

/// Many callers, as threads and as tasks.
pub(crate) fn many(load: &Load) -> Result<()> {
    let by_threads = contender("worksharing, 64 threads", || {
        Ok(callers::threads(64, load.time, |_, _| miss(load)))
    });
    let port = || port(load, "port, 64 threads", 64).goal(Goal::AtLeast(6.0));
    let by_tasks = by_tasks(load, "worksharing, 64 tasks", 64);
    compare(load.rounds, "misses/s", vec![by_threads, port()])?;
    compare(load.rounds, "misses/s", vec![by_tasks, port()])
}

/// Many more.
pub(crate) fn many_more(load: &Load) -> Result<()> {
    let tasks = by_tasks(load, "worksharing, 512 tasks", 512);
    let port = port(load, "port, 512 threads", 512);
    compare(load.rounds, "misses/s", vec![tasks, port])
}

fn port<'a>(load: &'a Load, name: &'a str, number: usize) -> Contender<'a> {
    contender(name, move || {
        Ok(callers::threads(number, load.time, |_, _| {
            port_misses(load)
        }))
    })
}

fn by_tasks<'a>(load: &'a Load, name: &'a str, number: usize) -> Contender<'a> {
    contender(name, move || {
        let sharing = load.sharing.clone();
        callers::tasks(&load.tokio, number, load.time, move |_, _| {
            let work = sharing.work(characteristic()).ttl(TTL);
            async move { drop(work.run(async || Report::compute()).await) }
        })
    })
}
