//! Valkey for the values. Stores, entries, tags, clusters and faults are tested where those of Redis are.

use std::time::Duration;

use tests::{End, Ordeal, RedisKind, Servers, scenarios};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");

#[test]
fn valkey_is_as_good_as_redis() {
    let mut servers = Servers::with(RedisKind::Valkey);
    let setup = servers.setup();
    let says: String = servers.redis.ask(&["INFO", "server"]);
    assert!(says.contains("valkey_version:"), "{says}");
    let handover = Duration::from_millis(500);
    scenarios::cold_key(WORKER, &setup, 4, Duration::from_secs(1), handover);
    scenarios::failures(WORKER, &setup, 3, End::Fail, handover);
    scenarios::crowd(WORKER, &setup, 3, 8);
    let mut ordeal = Ordeal::start(2, WORKER, &setup);
    servers.redis.restart();
    ordeal.ends();
}
