//! What stands in a store may be foreign or broken: always a miss, never garbage. Case 22.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tests::{Servers, on_each_store};
use worksharing::{Key, WorkSharing, work_shared};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Report {
    title: String,
    rows: Vec<(u32, f64)>,
}

fn report(number: u32) -> Report {
    Report {
        title: format!("report {number}"),
        rows: vec![(number, 0.5), (number + 1, 1.5)],
    }
}

/// Entries as they stand in Redis.
struct Raw {
    redis: redis::Connection,
    key: String,
}

impl Raw {
    fn of(servers: &Servers, characteristic: &str) -> Self {
        Self {
            redis: servers.redis.connect(),
            key: format!("ws:{}", Key::new(characteristic).hex()),
        }
    }

    fn get(&mut self) -> Vec<u8> {
        redis::cmd("GET")
            .arg(&self.key)
            .query(&mut self.redis)
            .unwrap()
    }

    fn set(&mut self, bytes: &[u8]) {
        redis::cmd("SET")
            .arg(&self.key)
            .arg(bytes)
            .exec(&mut self.redis)
            .unwrap();
    }
}

/// Whatever these bytes are, the value is computed, returned, and stored instead of them.
fn assert_missed(sharing: &WorkSharing, raw: &mut Raw, bytes: &[u8], number: u32) {
    raw.set(bytes);
    let what = || format!("{number}: {bytes:02x?}");
    assert_eq!(
        sharing.work::<Report>("broken").peek_blocking(),
        None,
        "{}",
        what()
    );
    let value = sharing.work("broken").run_blocking(|| report(number));
    assert_eq!(value, report(number), "{}", what());
    assert_eq!(
        sharing.work("broken").peek_blocking(),
        Some(value),
        "{}",
        what()
    );
}

#[test]
fn truncated_or_flipped_entry_is_a_miss() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    let mut raw = Raw::of(&servers, "broken");
    sharing.work("broken").run_blocking(|| report(0));
    let good = raw.get();
    for length in 0..good.len() {
        assert_missed(&sharing, &mut raw, &good[..length], 1 + length as u32);
    }
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_missed(&sharing, &mut raw, &flipped, 10_000 + bit as u32);
    }
    raw.set(&good);
    assert_eq!(
        sharing.work("broken").peek_blocking(),
        Some(report(0)),
        "the whole entry is fine"
    );
}

#[test]
fn foreign_or_oversized_bytes_are_a_miss() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    let mut raw = Raw::of(&servers, "broken");
    sharing.work("broken").run_blocking(|| report(0));
    let good = raw.get();
    // A pickle as Django would store it, text, zeros, trailing bytes, an entry of 1 MiB too many.
    let trailing = [&good[..], b"x"].concat();
    let oversized = [&good[..], &vec![0; 1 << 20]].concat();
    let foreign: [&[u8]; 7] = [
        b"\x80\x05K*.",
        b"{\"a\": 1}",
        b"",
        &[0; 24],
        &[0xff; 4_096],
        &trailing,
        &oversized,
    ];
    for (number, bytes) in foreign.into_iter().enumerate() {
        assert_missed(&sharing, &mut raw, bytes, number as u32 + 1);
    }
    // Random bytes, and random bytes behind a good beginning. The same ones in every run.
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..300 {
        let mut bytes = good[..(number as usize * 7) % good.len()].to_vec();
        for _ in 0..number % 97 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            bytes.push((random >> 56) as u8);
        }
        assert_missed(&sharing, &mut raw, &bytes, 1_000 + number);
    }
}

// An entry of another key, copied: what a collision of digests would look like.
#[test]
fn entry_of_another_characteristic_string_is_a_miss() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    sharing.work("original").run_blocking(|| report(1));
    let copied = Raw::of(&servers, "original").get();
    assert_missed(&sharing, &mut Raw::of(&servers, "broken"), &copied, 2);
}

// Another program's list under our key: Redis refuses to read it. The value is returned all the same.
#[test]
fn key_of_another_redis_type_costs_the_store_not_the_call() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    let raw = Raw::of(&servers, "a list");
    redis::cmd("RPUSH")
        .arg(&raw.key)
        .arg("x")
        .exec(&mut servers.redis.connect())
        .unwrap();
    assert_eq!(sharing.work("a list").run_blocking(|| report(1)), report(1));
    assert!(sharing.stats().degraded > 0);
    // And nobody else's batch suffers.
    assert_eq!(sharing.work("fine").run_blocking(|| report(2)), report(2));
    assert_eq!(sharing.work("fine").peek_blocking(), Some(report(2)));
}

#[test]
fn value_over_the_size_limit_is_returned_and_not_stored() {
    let servers = Servers::start();
    let sharing = servers.builder().max_value_bytes(1_000).build().unwrap();
    let large = "x".repeat(2_000);
    assert_eq!(sharing.work("large").run_blocking(|| large.clone()), large);
    assert_eq!(sharing.work::<String>("large").peek_blocking(), None);
    assert_eq!(sharing.work("small").run_blocking(|| "x".to_owned()), "x");
    assert!(sharing.work::<String>("small").peek_blocking().is_some());
    let largest = (1..1_000).rev().find(|&size| {
        sharing.work("just").run_blocking(|| "x".repeat(size));
        sharing.work::<String>("just").peek_blocking().is_some()
    });
    assert!(largest.is_some());
    assert_eq!(Raw::of(&servers, "just").get().len(), 1_000);
}

// An entry that a runtime with a higher limit stored.
#[test]
fn stored_entry_over_the_size_limit_is_a_miss() {
    let servers = Servers::start();
    let generous = servers.sharing();
    generous.work("large").run_blocking(|| "x".repeat(2_000));
    let strict = servers.builder().max_value_bytes(1_000).build().unwrap();
    assert_eq!(strict.work::<String>("large").peek_blocking(), None);
    assert_eq!(strict.work("large").run_blocking(|| "y".to_owned()), "y");
}

// The type decides what is a failure: the outer `Result`. Its inner one is a value like any other.
#[test]
fn err_inside_of_a_value_is_stored() {
    static COMPUTED: AtomicUsize = AtomicUsize::new(0);

    #[work_shared(key = "nested", ttl = "60s", via = sharing)]
    fn nested(sharing: &WorkSharing) -> Result<Result<u8, String>, Infallible> {
        COMPUTED.fetch_add(1, Ordering::Relaxed);
        Ok(Err("no".to_owned()))
    }

    on_each_store(|backend, build| {
        COMPUTED.store(0, Ordering::Relaxed);
        let sharing = build();
        for _ in 0..3 {
            assert_eq!(nested(&sharing), Ok(Err("no".to_owned())), "{backend}");
        }
        assert_eq!(COMPUTED.load(Ordering::Relaxed), 1, "{backend}");
    });
}

/// Panics where it is serialized (`true`), or where it is deserialized (`false`).
#[derive(Clone, Debug, PartialEq)]
struct Sulks(bool);

impl Serialize for Sulks {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(!self.0, "a test's own panic");
        serializer.serialize_str("odd")
    }
}

impl<'de> Deserialize<'de> for Sulks {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        assert_ne!(text, "odd", "a test's own panic");
        Ok(Self(false))
    }
}

#[test]
fn serialize_that_panics_costs_the_store_not_the_value() {
    on_each_store(|backend, build| {
        let sharing = build();
        let value = sharing.work("sulks").run_blocking(|| Sulks(true));
        assert_eq!(value, Sulks(true), "{backend}");
        assert_eq!(sharing.work::<Sulks>("sulks").peek_blocking(), None);
    });
}

#[test]
fn deserialize_that_panics_is_a_miss() {
    on_each_store(|backend, build| {
        let (ours, theirs) = (build(), build());
        ours.work("sulks").run_blocking(|| Sulks(false));
        assert!(ours.stats().stored > 0, "{backend}");
        assert_eq!(theirs.work::<Sulks>("sulks").peek_blocking(), None);
        std::thread::scope(|scope| {
            for sharing in [&ours, &theirs] {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let value = sharing.work("sulks").run_blocking(|| Sulks(false));
                        assert_eq!(value, Sulks(false), "{backend}");
                    });
                }
            }
        });
    });
}

#[test]
fn large_value_makes_the_way() {
    on_each_store(|backend, build| {
        let (ours, theirs) = (build(), build());
        let large: Vec<u8> = (0..2 << 20).map(|n: u32| (n % 251) as u8).collect();
        assert_eq!(
            ours.work("large").run_blocking(|| large.clone()),
            large,
            "{backend}"
        );
        assert!(
            theirs.work("large").peek_blocking() == Some(large),
            "{backend}"
        );
    });
}

#[test]
fn time_to_live_is_the_stores() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    let raw = Raw::of(&servers, "lives");
    sharing
        .work("lives")
        .ttl(Duration::from_millis(90_500))
        .run_blocking(|| 1);
    let left: u64 = redis::cmd("PTTL")
        .arg(&raw.key)
        .query(&mut servers.redis.connect())
        .unwrap();
    assert!((60_000..=90_500).contains(&left), "{left}");
}
