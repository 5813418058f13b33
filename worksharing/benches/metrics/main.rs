//! What a recorder of metrics costs: hits with one that counts, beside hits with one that does not.
//!
//! ```text
//! cargo bench -p worksharing --features metrics --bench metrics
//! ```
//!
//! What the feature costs where no recorder is installed is seen by `--bench near`, with and without it.

#![allow(clippy::expect_used, reason = "a benchmark fails by panicking")]

#[allow(dead_code, reason = "other benchmarks use the rest")]
#[path = "../bed/mod.rs"]
mod bed;
#[allow(dead_code, reason = "other benchmarks use the rest")]
#[path = "../load/rounds.rs"]
mod rounds;

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::Result;
use metrics::{NoopRecorder, with_local_recorder};
use metrics_util::debugging::DebuggingRecorder;
use worksharing::{WorkSharing, work_shared};

use bed::{Bed, Report, TTL};
use rounds::{Goal, compare, contender};

static SHARING: LazyLock<WorkSharing> = LazyLock::new(WorkSharing::in_memory);

#[work_shared(ttl = "1d", local = "1d", key = "number:{year}:{region}", via = SHARING)]
fn number(year: u32, region: &str) -> u64 {
    u64::from(year)
}

/// Nanoseconds of a call.
fn time(calls: u32, call: impl Fn()) -> f64 {
    let begun = Instant::now();
    (0..calls).for_each(|_| call());
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

/// With the recorder of the process, and with one of this thread that counts nothing.
fn with_and_without(rounds: usize, goal: f64, round: impl Fn() -> f64) -> Result<()> {
    let without = || with_local_recorder(&NoopRecorder, &round);
    let contenders = vec![
        contender("with a recorder", || Ok(round())),
        contender("without", || Ok(without())).goal(Goal::AtMost(goal)),
    ];
    compare(rounds, "ns", contenders)
}

fn main() -> Result<()> {
    DebuggingRecorder::new().install()?;
    // Until it is known that it is the recorder of the whole process, it is asked for each counter each time.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1_500) {
        black_box(number(2_000, "DE"));
    }
    println!("\nlocal hit");
    with_and_without(31, 1.3, || {
        time(50_000, || {
            black_box(number(2_000, "DE"));
        })
    })?;
    println!("\nRedis hit");
    let bed = Bed::start();
    let sharing = bed.sharing()?;
    let hit = || {
        let work = sharing.work("hit").ttl(TTL);
        drop(black_box(work.run_blocking(Report::compute)));
    };
    // Many short rounds: what else the machine does befalls neighbours alike.
    with_and_without(201, 1.05, || time(250, hit))
}
