//! Values past their time to live, while somebody computes them anew.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use worksharing::Work;

use crate::Load;
use crate::bed::Report;
use crate::callers;
use crate::rounds::{Goal, compare, contender};

/// Nothing is to expire while it is measured, or the second time.
const LONG: Duration = Duration::from_secs(24 * 3600);
const SHORT: Duration = Duration::from_millis(1);
/// So many keys are asked for by turns.
const KEYS: u64 = 8;

fn work(load: &Load, what: &str, call: u64) -> Work<Report> {
    load.sharing.work(format!("{what}:{}", call % KEYS))
}

fn stale(load: &Load, call: u64) -> Work<Report> {
    work(load, "stale", call)
        .ttl(SHORT)
        .stale_while_revalidate(LONG)
}

fn plain(load: &Load, call: u64) -> Work<Report> {
    work(load, "plain", call).ttl(LONG)
}

fn fresh(load: &Load, call: u64) -> Work<Report> {
    work(load, "fresh", call)
        .ttl(LONG)
        .stale_while_revalidate(LONG)
}

/// A stale hit, against a hit of the same function and one without the option. The bodies that refresh what is stale go
/// on for as long as it is measured.
pub(crate) fn stale_hits(load: &Load) -> Result<()> {
    let (begun, over) = (&held(), &held());
    (0..KEYS).for_each(|key| drop(stale(load, key).run_blocking(Report::compute)));
    thread::sleep(10 * SHORT);
    thread::scope(|scope| {
        for key in 0..KEYS {
            scope.spawn(move || {
                stale(load, key).run_blocking(|| {
                    begun.wait();
                    over.wait();
                    Report::compute()
                })
            });
        }
        begun.wait();
        let compared = compare_hits(load);
        over.wait();
        compared
    })
}

/// Where all bodies and the one who measures meet.
fn held() -> Barrier {
    Barrier::new(KEYS as usize + 1)
}

fn compare_hits(load: &Load) -> Result<()> {
    let before = load.sharing.stats();
    let hit = |what: fn(&Load, u64) -> Work<Report>| {
        move || {
            Ok(callers::alone(load.time, |call| {
                what(load, call).run_blocking(Report::compute);
            }))
        }
    };
    let contenders = vec![
        contender("stale hit", hit(stale)),
        contender("hit", hit(plain)).goal(Goal::AtMost(1.1)),
        contender("hit of a value with a stale phase", hit(fresh)).goal(Goal::AtMost(1.1)),
    ];
    compare(load.rounds, "µs", contenders)?;
    let stats = load.sharing.stats();
    println!(
        "  {} stale hits, {} bodies",
        stats.stale - before.stale,
        stats.computed - before.computed
    );
    Ok(())
}
