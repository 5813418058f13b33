//! The time of one hit and of one miss, by criterion.
//!
//! ```text
//! cargo bench -p worksharing --bench latency
//! ```

#![allow(clippy::expect_used, reason = "a benchmark fails by panicking")]

#[path = "../baseline/mod.rs"]
mod baseline;
#[path = "../bed/mod.rs"]
mod bed;

use std::hint::black_box;
use std::time::Duration;

use anyhow::Result;
use criterion::Criterion;
use redis::Commands as _;
use worksharing::{Key, WorkSharing};

use baseline::Port;
use bed::{Bed, Report, TTL};

fn main() -> Result<()> {
    let bed = Bed::start();
    let mut criterion = Criterion::default()
        .configure_from_args()
        .measurement_time(Duration::from_secs(3));
    alone(&mut criterion);
    hits(&mut criterion, &bed)?;
    misses(&mut criterion, &bed)?;
    criterion.final_summary();
    Ok(())
}

/// What costs no server anything.
fn alone(criterion: &mut Criterion) {
    let sharing = WorkSharing::in_memory();
    criterion.bench_function("key", |bench| {
        bench.iter(|| Key::new(black_box("report:2024:DE")))
    });
    criterion.bench_function("hit/in memory", |bench| {
        bench.iter(|| sharing.work("hit").ttl(TTL).run_blocking(Report::compute));
    });
}

fn hits(criterion: &mut Criterion, bed: &Bed) -> Result<()> {
    let (sharing, mut connection) = (bed.sharing()?, bed.redis.connect());
    let port = Port::connect(&bed.postgres.url(), &bed.redis.url())?;
    let hit = || {
        sharing
            .work("hit")
            .ttl(Duration::from_secs(3600))
            .run_blocking(Report::compute)
    };
    hit();
    let name = format!("ws:{}", Key::new("hit").hex());
    criterion.bench_function("hit/worksharing", |bench| bench.iter(hit));
    criterion.bench_function("hit/bare GET", |bench| {
        bench.iter(|| connection.get::<_, Vec<u8>>(&name).expect("GET"));
    });
    criterion.bench_function("hit/port", |bench| {
        bench.iter(|| port.share("hit", TTL, Report::compute).expect("port"));
    });
    Ok(())
}

fn misses(criterion: &mut Criterion, bed: &Bed) -> Result<()> {
    let sharing = bed.sharing()?;
    let port = Port::connect(&bed.postgres.url(), &bed.redis.url())?;
    let mut number = 0_u64;
    let mut characteristic = || {
        number += 1;
        format!("miss:{number}")
    };
    criterion.bench_function("miss/worksharing", |bench| {
        bench.iter(|| {
            sharing
                .work(characteristic())
                .ttl(TTL)
                .run_blocking(Report::compute)
        });
    });
    criterion.bench_function("miss/port", |bench| {
        bench.iter(|| {
            port.share(&characteristic(), TTL, Report::compute)
                .expect("port")
        });
    });
    Ok(())
}
