//! What a follower costs beside its own future, and what a hit allocates. Every allocation is counted.
//!
//! ```text
//! cargo bench -p worksharing --bench memory
//! ```

#[path = "../bed/mod.rs"]
mod bed;

use std::alloc::System;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use tokio::sync::Notify;
use worksharing::WorkSharing;

use bed::{Bed, Report, TTL};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FOLLOWERS: usize = 10_000;

fn main() -> Result<()> {
    let bed = Bed::start();
    let sharing = bed.sharing()?;
    followers(&sharing)?;
    calls("over servers", &sharing);
    calls("in memory", &WorkSharing::in_memory());
    Ok(())
}

/// All follow a leader that computes; what they allocate since their futures were made is theirs.
fn followers(sharing: &WorkSharing) -> Result<()> {
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()?;
    let (begun, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let leader = sharing.work("followed").ttl(TTL).run({
        let (begun, end) = (Arc::clone(&begun), Arc::clone(&end));
        async move || {
            begun.notify_one();
            end.notified().await;
            Report::compute()
        }
    });
    let leader = tokio.spawn(leader);
    tokio.block_on(begun.notified());

    let mut futures: Vec<_> = (0..FOLLOWERS)
        .map(|_| {
            sharing
                .work::<Report>("followed")
                .ttl(TTL)
                .run(async || unreachable!("it follows"))
        })
        .map(Box::pin)
        .collect();
    let own = futures.first().map_or(0, |future| size_of_val(&**future));
    let region = Region::new(ALLOCATOR);
    let mut context = Context::from_waker(Waker::noop());
    // Each looks first, and follows when it has found nothing.
    while sharing.stats().waited < FOLLOWERS as u64 {
        ensure!(
            futures
                .iter_mut()
                .all(|future| is_pending(future, &mut context)),
            "some did not follow"
        );
        thread::sleep(Duration::from_millis(1));
    }
    let each = held(&region.change()) / FOLLOWERS as f64;
    println!(
        "{FOLLOWERS} followers of one key: {each:.0} bytes each beside their own futures of {own} bytes"
    );
    println!(
        "  required < 2048: {}",
        if each < 2048.0 { "reached" } else { "MISSED" }
    );

    end.notify_one();
    tokio.block_on(leader)?;
    ensure!(
        !futures
            .iter_mut()
            .any(|future| is_pending(future, &mut context)),
        "some were not served"
    );
    Ok(())
}

fn is_pending(future: &mut Pin<Box<impl Future>>, context: &mut Context<'_>) -> bool {
    matches!(future.as_mut().poll(context), Poll::Pending)
}

/// What one call allocates, on all threads together, and the median of what it takes.
fn calls(place: &str, sharing: &WorkSharing) {
    const CALLS: usize = 2_000;
    let hit = |_| drop(sharing.work("hit").ttl(TTL).run_blocking(Report::compute));
    let miss = |call| {
        drop(
            sharing
                .work(format!("miss:{call}"))
                .ttl(TTL)
                .run_blocking(Report::compute),
        )
    };
    for (name, call) in [("a hit", &hit as &dyn Fn(usize)), ("a miss", &miss)] {
        call(CALLS);
        let mut times = Vec::with_capacity(CALLS);
        let region = Region::new(ALLOCATOR);
        for number in 0..CALLS {
            let begun = Instant::now();
            call(number);
            times.push(begun.elapsed());
        }
        let Stats {
            allocations,
            bytes_allocated,
            ..
        } = region.change();
        times.sort_unstable();
        println!(
            "{name} {place}: {:.1} allocations, {:.0} bytes, {:.1?}",
            allocations as f64 / CALLS as f64,
            bytes_allocated as f64 / CALLS as f64,
            times[CALLS / 2],
        );
    }
}

/// Bytes allocated and not freed again.
fn held(stats: &Stats) -> f64 {
    stats.bytes_allocated as f64 - stats.bytes_deallocated as f64
}
