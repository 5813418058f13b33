//! Values that are there.

use anyhow::Result;
use redis::Commands as _;
use worksharing::Key;

use crate::Load;
use crate::bed::{Report, TTL};
use crate::callers;
use crate::rounds::{Goal, compare, contender};

/// So many keys each caller asks for by turns.
const KEYS: u64 = 8;

fn characteristic(caller: usize, call: u64) -> String {
    format!("hit:{caller}:{}", call % KEYS)
}

/// A thread asks and waits, against a bare GET of the same bytes over a connection of its own.
pub(crate) fn one_thread(load: &Load) -> Result<()> {
    let Load { port, bed, .. } = load;
    let mut connection = bed.redis.connect();
    let names: Vec<_> = (0..KEYS)
        .map(|call| format!("ws:{}", Key::new(characteristic(0, call)).hex()))
        .collect();
    compare(
        load.rounds,
        "µs",
        Goal::AtMost(1.25),
        vec![
            contender("worksharing", || {
                Ok(callers::alone(load.time, |call| hit(load, 0, call)))
            }),
            contender("bare GET", || {
                Ok(callers::alone(load.time, |call| {
                    let found: Vec<u8> =
                        connection.get(&names[(call % KEYS) as usize]).expect("GET");
                    assert!(!found.is_empty());
                }))
            }),
        ],
    )?;
    compare(
        load.rounds,
        "µs",
        Goal::None,
        vec![
            contender("worksharing", || {
                Ok(callers::alone(load.time, |call| hit(load, 0, call)))
            }),
            contender("port", || {
                Ok(callers::alone(load.time, |call| {
                    port.share(&characteristic(0, call), TTL, Report::compute)
                        .expect("port");
                }))
            }),
        ],
    )?;
    Ok(())
}

fn hit(load: &Load, caller: usize, call: u64) {
    load.sharing
        .work(characteristic(caller, call))
        .ttl(TTL)
        .run_blocking(Report::compute);
}

/// Many threads.
pub(crate) fn threads(load: &Load) -> Result<()> {
    compare(
        load.rounds,
        "hits/s",
        Goal::AtLeast(1.5),
        vec![
            contender("worksharing, 64 threads", || {
                Ok(callers::threads(64, load.time, |caller, call| {
                    hit(load, caller, call)
                }))
            }),
            contender("port, 64 threads", || {
                Ok(callers::threads(64, load.time, |caller, call| {
                    load.port
                        .share(&characteristic(caller, call), TTL, Report::compute)
                        .expect("port");
                }))
            }),
        ],
    )
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
        Goal::None,
        vec![
            contender("worksharing, 512 tasks", || {
                let sharing = load.sharing.clone();
                callers::tasks(&load.tokio, 512, load.time, move |caller, call| {
                    let work = sharing.work(characteristic(caller, call)).ttl(TTL);
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
