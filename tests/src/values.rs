//! The store of values, as its server sees it.

use std::collections::BTreeMap;

use postgres::{Client, NoTls};
use redis::Connection;
use worksharing::Key;
use worksharing::store::{FENCE_LIFE, Seen};

use crate::{Servers, Setup, now_us};

/// A connection of the test's own to where values are kept.
#[allow(missing_debug_implementations, reason = "connections have none")]
pub enum Values {
    /// In Redis.
    Redis(Connection),
    /// In the usual table of PostgreSQL.
    Postgres(Client),
}

impl Values {
    /// Where runtimes of this setup keep them.
    pub fn of(servers: &Servers, setup: &Setup) -> Self {
        if setup.redis.is_some() {
            return Self::Redis(servers.redis.connect());
        }
        let client = Client::connect(&servers.postgres.url(), NoTls);
        Self::Postgres(client.unwrap_or_else(|error| panic!("cannot connect: {error}")))
    }

    /// The beginning of what stands under a key, which tells it from everything else; empty if nothing does.
    pub fn seen(&mut self, key: &Key) -> Vec<u8> {
        match self {
            Self::Redis(redis) => {
                let mut get = redis::cmd("GETRANGE");
                get.arg(stored_as(key)).arg(0).arg(Seen::LEN - 1);
                get.query(redis).expect("Redis answers")
            }
            Self::Postgres(client) => {
                let sql = "SELECT substring(value FOR $2) FROM worksharing \
                           WHERE key = $1 AND expires > clock_timestamp()";
                let length = i32::try_from(Seen::LEN).expect("it is short");
                let row = client.query_opt(sql, &[&stored_as(key), &length]);
                let row = row.expect("PostgreSQL answers");
                row.map_or_else(Vec::new, |row| row.get(0))
            }
        }
    }

    /// Removes what stands under a key if it begins like this: whether it did.
    pub fn evict(&mut self, key: &Key, seen: &[u8]) -> bool {
        match self {
            Self::Redis(redis) => {
                let script = "return redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) == ARGV[1] \
                              and redis.call('UNLINK', KEYS[1]) or 0";
                let mut eval = redis::cmd("EVAL");
                eval.arg(script).arg(1).arg(stored_as(key)).arg(seen);
                eval.query(redis).expect("Redis answers")
            }
            Self::Postgres(client) => {
                let sql = "DELETE FROM worksharing \
                           WHERE key = $1 AND substring(value FOR length($2::bytea)) = $2::bytea";
                let evicted = client.execute(sql, &[&stored_as(key), &seen]);
                evicted.expect("PostgreSQL answers") > 0
            }
        }
    }
}

/// Where the marker of a tag stands, in a runtime without a namespace.
pub fn marker(tag: &str) -> Key {
    Key::new(format!("\u{1}tag:{tag}"))
}

fn stored_as(key: &Key) -> String {
    format!("ws:{}", key.hex())
}

/// Knows which entries have stood for [`FENCE_LIFE`], so that their store may lose them.
#[derive(Debug, Default)]
pub struct OldEntries {
    /// What is known to stand under a key, and since when.
    standing: BTreeMap<String, (Vec<u8>, u64)>,
}

impl OldEntries {
    /// Looks at what stands under a key: that, if the store may lose it.
    pub fn look(&mut self, values: &mut Values, key: &Key) -> Option<Vec<u8>> {
        let seen = values.seen(key);
        let now = now_us();
        let known = self.standing.entry(key.characteristic().to_owned());
        let (standing, since) = known.or_insert_with(|| (seen.clone(), now));
        if *standing != seen {
            (*standing, *since) = (seen.clone(), now);
        }
        let age_us = u128::from(now - *since);
        (!seen.is_empty() && age_us >= FENCE_LIFE.as_micros()).then_some(seen)
    }
}
