//! The local tier: a hit beside other caches, what it allocates, and what it costs to tell of changes.
//!
//! ```text
//! cargo bench -p worksharing --bench near              everything
//! cargo bench -p worksharing --bench near -- hit       the parts whose name has this in it
//! ```

#![allow(clippy::expect_used, reason = "a benchmark fails by panicking")]

#[allow(dead_code, reason = "other benchmarks use the rest")]
#[path = "../bed/mod.rs"]
mod bed;
#[allow(dead_code, reason = "other benchmarks use the rest")]
#[path = "../load/rounds.rs"]
mod rounds;

use std::alloc::System;
use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::stream::{self, StreamExt as _};
use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use worksharing::{WorkSharing, work_shared};

use bed::Bed;
use rounds::{Goal, compare, contender};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Clone, Serialize, Deserialize)]
struct Table {
    title: String,
    rows: Vec<(u32, String)>,
}

impl Table {
    fn of(year: u32) -> Self {
        let row = |row| (row, format!("row {row}"));
        Self {
            title: format!("sales of {year}"),
            rows: (0..4).map(row).collect(),
        }
    }
}

static SHARING: LazyLock<WorkSharing> = LazyLock::new(WorkSharing::in_memory);

#[work_shared(ttl = "1d", local = "1d", key = "report:{year}:{region}", via = SHARING)]
fn report(year: u32, region: &str) -> Table {
    Table::of(year)
}

#[work_shared(ttl = "1d", local = "1d", key = "number:{year}:{region}", via = SHARING)]
fn number(year: u32, region: &str) -> u64 {
    u64::from(year)
}

const YEARS: u32 = 8;
const CALLS: u32 = 200_000;

/// Nanoseconds of a call.
fn time(call: impl Fn(u32)) -> f64 {
    let begun = Instant::now();
    for at in 0..CALLS {
        call(2_000 + at % YEARS);
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

const CAPACITY: u64 = 64 << 20;
const WEIGHT: u32 = 400;

fn local_hit() -> Result<()> {
    let moka = moka::sync::Cache::builder()
        .weigher(|_: &String, _: &Table| WEIGHT)
        .max_capacity(CAPACITY)
        .build();
    let foyer: foyer_memory::Cache<String, Table> =
        foyer_memory::CacheBuilder::new(CAPACITY as usize)
            .with_weighter(|_: &String, _: &Table| WEIGHT as usize)
            .build();
    let quick = quick_cache::sync::Cache::<String, Table>::new(10_000);
    let amalgam = amalgam::BlockingCache::<Table>::new()?;
    let key = |year: u32| format!("report:{year}:{}", "DE");
    let tables: Vec<Table> = (0..YEARS).map(Table::of).collect();
    let contenders = vec![
        contender("worksharing, local", || {
            Ok(time(|year| drop(black_box(report(year, "DE")))))
        }),
        contender("moka, get_with(format!)", || {
            Ok(time(|year| {
                drop(black_box(moka.get_with(key(year), || Table::of(year))));
            }))
        })
        .goal(Goal::AtMost(0.7)),
        contender("amalgam-cache, get_or_set", || {
            Ok(time(|year| {
                let table = move || Ok::<_, std::convert::Infallible>(Table::of(year));
                drop(black_box(
                    amalgam
                        .get_or_set(key(year), amalgam::source::factory(move |_| table()))
                        .execute(),
                ));
            }))
        })
        .goal(Goal::AtMost(1.0)),
        contender("quick_cache, get(format!)", || {
            Ok(time(|year| {
                let key = key(year);
                let found = quick.get(&key);
                black_box(found.unwrap_or_else(|| {
                    quick.insert(key, Table::of(year));
                    Table::of(year)
                }));
            }))
        }),
        contender("foyer-memory, get(format!)", || {
            Ok(time(|year| {
                let key = key(year);
                let found = foyer.get(&key).map(|entry| entry.value().clone());
                black_box(found.unwrap_or_else(|| {
                    foyer.insert(key, Table::of(year));
                    Table::of(year)
                }));
            }))
        }),
        contender("the clone", || {
            Ok(time(|year| {
                drop(black_box(tables[(year % YEARS) as usize].clone()))
            }))
        }),
    ];
    compare(9, "ns", contenders)
}

fn allocations() -> Result<()> {
    const HITS: u32 = 2_000;
    drop((report(2_000, "DE"), number(2_000, "DE")));
    let of = |name, call: &dyn Fn()| {
        let region = Region::new(ALLOCATOR);
        (0..HITS).for_each(|_| call());
        let allocations = region.change().allocations;
        println!("  {name:<34} {allocations} allocations in {HITS}");
    };
    of("hits of a number", &|| {
        black_box(number(2_000, "DE"));
    });
    of("hits of a table", &|| drop(black_box(report(2_000, "DE"))));
    let table = Table::of(2_000);
    of("clones of a table", &|| drop(black_box(table.clone())));
    Ok(())
}

/// From the beginning of an invalidation until the last of eight runtimes no longer returns the old value.
fn reach() -> Result<()> {
    const RUNTIMES: usize = 8;
    const ROUNDS: u64 = 50;
    let bed = Bed::start();
    let sharing: Vec<_> = (0..RUNTIMES)
        .map(|_| bed.sharing())
        .collect::<Result<_, _>>()?;
    let call = |sharing: &WorkSharing, value: u64| {
        let work = sharing.work("reach").local(Duration::from_secs(3_600));
        work.run_blocking(|| value)
    };
    let mut times = Vec::new();
    for round in 1..=ROUNDS {
        // Listening takes up to a second to begin.
        let until = Instant::now() + Duration::from_millis(if round == 1 { 2_500 } else { 20 });
        while Instant::now() < until {
            sharing.iter().for_each(|sharing| {
                call(sharing, round);
            });
        }
        let begun = Instant::now();
        sharing[0].work::<u64>("reach").invalidate_blocking()?;
        for sharing in &sharing {
            while call(sharing, round + 1) <= round {
                std::hint::spin_loop();
            }
        }
        times.push(begun.elapsed());
    }
    times.sort();
    let [median, worst] = [times[times.len() / 2], times[times.len() - 1]];
    println!(
        "  the last of {RUNTIMES} after {median:?} in the median, {worst:?} at worst (goal: 20 ms)"
    );
    Ok(())
}

fn invalidations() -> Result<()> {
    const KEYS: u32 = 100_000;
    let bed = Bed::start();
    let [sharing, listener] = [bed.sharing()?, bed.sharing()?];
    let work = listener.work("listens").local(Duration::from_secs(60));
    work.run_blocking(|| 0);
    let tokio = tokio::runtime::Runtime::new()?;
    for at_once in [64, 512] {
        let begun = Instant::now();
        tokio.block_on(async {
            let one = |key: u32| {
                let work = sharing.work::<u64>(format!("{at_once}:{key}"));
                async move { work.invalidate().await.expect("an invalidation") }
            };
            stream::iter(0..KEYS)
                .for_each_concurrent(at_once, one)
                .await;
        });
        let took = begun.elapsed();
        println!("  {KEYS} keys, {at_once} at a time: {took:?} (goal: 5 s)");
    }
    Ok(())
}

/// A part of the program, by name.
type Part = (&'static str, fn() -> Result<()>);

const PARTS: [Part; 4] = [
    ("local-hit", local_hit),
    ("allocations", allocations),
    ("reach", reach),
    ("invalidations", invalidations),
];

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    for (name, part) in PARTS {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            println!("\n{name}");
            part()?;
        }
    }
    Ok(())
}
