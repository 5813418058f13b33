//! How many connections a process has while it computes many keys at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::sync::Semaphore;

use crate::Load;
use crate::bed::{Report, TTL};

const KEYS: u32 = 1_000;

/// Holds all keys at the same time, and counts.
pub(crate) fn of_keys_in_flight(load: &Load) -> Result<()> {
    let (computing, end) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let callers: Vec<_> = (0..KEYS)
        .map(|caller| {
            let work = load.sharing.work(format!("connections:{caller}")).ttl(TTL);
            let (computing, end) = (Arc::clone(&computing), Arc::clone(&end));
            load.tokio.spawn(work.run(async move || {
                computing.add_permits(1);
                drop(end.acquire().await);
                Report::compute()
            }))
        })
        .collect();
    let all = computing.acquire_many(KEYS);
    drop(
        load.tokio
            .block_on(async { tokio::time::timeout(Duration::from_secs(30), all).await })??,
    );
    let (sessions, locks) = count(load)?;
    end.add_permits(KEYS as usize);
    for caller in callers {
        load.tokio.block_on(caller)?;
    }
    println!(
        "  {KEYS} keys computed at once: {locks} locks held over {sessions} PostgreSQL connections   required ≤ 2: {}",
        if sessions <= 2 { "reached" } else { "MISSED" }
    );
    ensure!(locks >= i64::from(KEYS), "not all keys were locked");
    Ok(())
}

fn count(load: &Load) -> Result<(i64, i64)> {
    let sql =
        "SELECT (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'worksharing%'),
                      (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted)";
    let row = load.bed.postgres.connect().query_one(sql, &[])?;
    Ok((row.get(0), row.get(1)))
}
