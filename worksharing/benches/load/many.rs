//! Work of many keys at once, against one pipeline of the bare client, and against as many calls one after the other.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use worksharing::Key;

use crate::Load;
use crate::bed::{Report, TTL};
use crate::callers;
use crate::rounds::{Goal, compare, contender};

const CONFIG: bincode::config::Configuration = bincode::config::standard();
const IDS: u64 = 1_000;
/// Of a hundred ids one has no value, so it is computed each time.
const STORED: u64 = 990;

type Reports = HashMap<u64, Report>;

fn compute(missing: Vec<u64>) -> Reports {
    missing
        .into_iter()
        .map(|id| (id, Report::compute()))
        .collect()
}

fn key(id: u64) -> String {
    format!("many:{id}")
}

/// Ten of a thousand ids are led and computed, the others are stored.
pub(crate) fn stored(load: &Load) -> Result<()> {
    let many = |compute: fn(Vec<u64>) -> Reports| {
        let many = load.sharing.many(0..IDS, |id| key(*id));
        let many = many.with(|work, _| work.ttl(100 * TTL));
        many.run_blocking(compute)
    };
    many(|missing| compute(missing.into_iter().filter(|id| *id < STORED).collect()));
    let pipeline = bare_pipeline(load)?;
    let contenders = vec![
        contender("1,000 ids, 990 of them stored", || {
            Ok(callers::alone(load.time, |_| {
                assert_eq!(many(|_| Reports::new()).len() as u64, STORED);
            }))
        }),
        contender("a pipeline of 1,000 GETs, decoded", || {
            Ok(callers::alone(load.time, |_| {
                assert_eq!(pipeline() as u64, STORED);
            }))
        })
        .goal(Goal::AtMost(3.0)),
    ];
    compare(load.rounds, "µs", contenders)
}

/// What one would write by hand, without any sharing. Returns how many were found.
fn bare_pipeline(load: &Load) -> Result<impl Fn() -> usize> {
    let client = redis::Client::open(load.bed.redis.url())?;
    let connection = RefCell::new(client.get_connection()?);
    let name = |id: u64| format!("bare:{}", Key::new(key(id)).hex());
    for id in 0..STORED {
        let bytes = bincode::serde::encode_to_vec(Report::compute(), CONFIG)?;
        let mut set = redis::cmd("SET");
        let () = set
            .arg(name(id))
            .arg(bytes)
            .query(&mut *connection.borrow_mut())?;
    }
    let get = move || -> Result<usize> {
        let mut pipeline = redis::pipe();
        for id in 0..IDS {
            pipeline.get(name(id));
        }
        let found: Vec<Option<Vec<u8>>> = pipeline.query(&mut *connection.borrow_mut())?;
        let mut reports = Reports::new();
        for (id, bytes) in (0..IDS).zip(found) {
            if let Some(bytes) = bytes {
                let (report, _) = bincode::serde::decode_from_slice(&bytes, CONFIG)?;
                reports.insert(id, report);
            }
        }
        Ok(reports.len())
    };
    ensure!(get()? as u64 == STORED);
    Ok(move || get().unwrap_or_default())
}

/// A thousand ids that nobody asked for before.
pub(crate) fn cold(load: &Load) -> Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let ids = || {
        let first = NEXT.fetch_add(IDS, Ordering::Relaxed);
        first..first + IDS
    };
    let contenders = vec![
        contender("1,000 cold ids at once", || {
            Ok(callers::alone(load.time, |_| {
                let many = load.sharing.many(ids(), |id| format!("cold:{id}"));
                let many = many.with(|work, _| work.ttl(TTL));
                assert_eq!(many.run_blocking(compute).len() as u64, IDS);
            }))
        }),
        contender("1,000 misses, one after the other", || {
            Ok(callers::alone(load.time, |_| {
                for id in ids() {
                    let work = load.sharing.work(format!("cold:{id}")).ttl(TTL);
                    work.run_blocking(|| Some(Report::compute()));
                }
            }))
        })
        .goal(Goal::AtMost(0.05)),
    ];
    compare(load.rounds, "µs", contenders)
}
