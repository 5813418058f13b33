//! Throughput, connections and herds, beside a plain port of the gist over pools.
//!
//! ```text
//! cargo bench -p worksharing --bench load                      everything
//! cargo bench -p worksharing --bench load -- hit               the parts whose name has this in it
//! cargo bench -p worksharing --bench load -- --rounds 21 --seconds 1
//! ```

#![allow(clippy::expect_used, reason = "a benchmark fails by panicking")]

#[path = "../baseline/mod.rs"]
mod baseline;
#[path = "../bed/mod.rs"]
mod bed;
mod callers;
mod connections;
mod detached;
mod freshness;
mod herd;
mod hits;
mod many;
mod misses;
mod rounds;
mod takeover;
mod transactions;

use std::time::Duration;

use anyhow::{Context as _, Result};
use worksharing::WorkSharing;

use baseline::Port;
use bed::Bed;

/// What a part works with.
struct Load {
    bed: Bed,
    sharing: WorkSharing,
    port: Port,
    tokio: tokio::runtime::Runtime,
    rounds: usize,
    /// How long each contender runs in a round.
    time: Duration,
}

/// A part of the program, by name.
type Part = (&'static str, fn(&Load) -> Result<()>);

const PARTS: [Part; 19] = [
    ("hit-1", hits::one_thread),
    ("hit-64", hits::threads),
    ("hit-512", hits::tasks),
    ("miss-1", misses::one_thread),
    ("miss-64", misses::many),
    ("miss-512", misses::many_more),
    ("stale-hit", freshness::stale_hits),
    ("detach-miss-task", detached::async_miss),
    ("detach-miss-thread", detached::blocking_miss),
    ("detach-hit", detached::blocking_hit),
    ("transaction", transactions::commits),
    ("outbox", transactions::consumed),
    ("outbox-hit", transactions::hits),
    ("many-stored", many::stored),
    ("many-cold", many::cold),
    ("connections", connections::of_keys_in_flight),
    ("herd-tasks", herd::tasks),
    ("herd-threads", herd::threads),
    ("takeover", takeover::of_a_dead_session),
];

fn main() -> Result<()> {
    let Options {
        words,
        rounds,
        seconds,
    } = Options::read()?;
    let bed = Bed::start();
    let sharing = bed.sharing()?;
    let port = Port::connect(&bed.postgres.url(), &bed.redis.url())?;
    let tokio = tokio::runtime::Runtime::new()?;
    let time = Duration::from_secs_f64(seconds);
    let load = Load {
        bed,
        sharing,
        port,
        tokio,
        rounds,
        time,
    };
    println!(
        "{rounds} rounds of {seconds} s for each contender, in turns: median (lowest to highest)"
    );
    for (name, part) in PARTS {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            println!("\n{name}");
            part(&load).with_context(|| format!("in {name}"))?;
        }
    }
    println!("\n{:?}", load.sharing.stats());
    Ok(())
}

struct Options {
    words: Vec<String>,
    rounds: usize,
    seconds: f64,
}

impl Options {
    fn read() -> Result<Self> {
        let mut options = Self {
            words: Vec::new(),
            rounds: 9,
            seconds: 0.5,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{argument} needs a number"))
            };
            match argument.as_str() {
                "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
                "--seconds" => options.seconds = value()?.parse()?,
                // Cargo's own.
                "--bench" => {}
                _ => options.words.push(argument),
            }
        }
        Ok(options)
    }
}
