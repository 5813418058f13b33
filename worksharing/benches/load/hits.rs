//! Values that are there.

use std::time::Duration;

use anyhow::Result;
use redis::Commands as _;
use worksharing::Key;

use crate::Load;
use crate::bed::Report;
use crate::callers;
use crate::rounds::{Goal, compare, contender};

/// Nothing is to expire while it is measured.
const LONG: Duration = Duration::from_secs(24 * 3600);
/// So many keys each caller asks for by turns.
const KEYS: u64 = 8;

fn characteristic(caller: usize, call: u64) -> String {
    format!("hit:{caller}:{}", call % KEYS)
}

/// A thread asks and waits, against a bare GET of the same bytes over a connection of its own.
pub(crate) fn one_thread(load: &Load) -> Result<()> {
    let mut connection = load.bed.redis.connect();
    let name = |call| format!("ws:{}", Key::new(characteristic(0, call)).hex());
    let names: Vec<_> = (0..KEYS).map(name).collect();
    let mut bare = |call: u64| {
        let name = &names[(call % KEYS) as usize];
        let found: Vec<u8> = connection.get(name).expect("GET");
        assert!(!found.is_empty());
    };
    let contenders = vec![
        contender("worksharing", || {
            Ok(callers::alone(load.time, |call| hit(load, 0, call)))
        }),
        contender("bare GET", || Ok(callers::alone(load.time, &mut bare))).goal(Goal::AtMost(1.25)),
        contender("port", || {
            Ok(callers::alone(load.time, |call| port(load, 0, call)))
        }),
    ];
    compare(load.rounds, "µs", contenders)
}

fn hit(load: &Load, caller: usize, call: u64) {
    let work = load.sharing.work(characteristic(caller, call));
    work.ttl(LONG).run_blocking(Report::compute);
}

fn port(load: &Load, caller: usize, call: u64) {
    let shared = load
        .port
        .share(&characteristic(caller, call), LONG, Report::compute);
    shared.expect("port");
}

/// Many threads.
pub(crate) fn threads(load: &Load) -> Result<()> {
    let contenders = vec![
        contender("worksharing, 64 threads", || {
            Ok(callers::threads(64, load.time, |caller, call| {
                hit(load, caller, call)
            }))
        }),
        contender("port, 64 threads", || {
            Ok(callers::threads(64, load.time, |caller, call| {
                port(load, caller, call)
            }))
        })
        .goal(Goal::AtLeast(1.5)),
    ];
    compare(load.rounds, "hits/s", contenders)
}

/// Many tasks, against the asynchronous client, which shares one connection too.
pub(crate) fn tasks(load: &Load) -> Result<()> {
    let client = redis::Client::open(load.bed.redis.url())?;
    let shared = load
        .tokio
        .block_on(client.get_multiplexed_async_connection())?;
    compare(
        load.rounds,
        "hits/s",
        vec![
            contender("worksharing, 512 tasks", || {
                let sharing = load.sharing.clone();
                callers::tasks(&load.tokio, 512, load.time, move |caller, call| {
                    let work = sharing.work(characteristic(caller, call)).ttl(LONG);
                    async move { drop(work.run(async || Report::compute()).await) }
                })
            }),
            contender("multiplexed async GET, 512 tasks", || {
                let shared = shared.clone();
                callers::tasks(&load.tokio, 512, load.time, move |caller, call| {
                    let (mut shared, key) =
                        (shared.clone(), Key::new(characteristic(caller, call)));
                    async move {
                        use redis::AsyncCommands as _;
                        let found: Vec<u8> =
                            shared.get(format!("ws:{}", key.hex())).await.expect("GET");
                        assert!(!found.is_empty());
                    }
                })
            }),
        ],
    )
}
