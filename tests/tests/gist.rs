//! Case 11: the gist's own protocol, from another client of the same servers: excluded both ways.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use tests::{Servers, wait_until};
use worksharing::Key;

const LIMIT: Duration = Duration::from_secs(20);
const CHARACTERISTIC: &str = "report:2024:DE";

/// What the gist does, in its own order. It holds a transaction for as long as it computes.
fn gist(servers: &Servers, client: &mut Client, compute: impl FnOnce() -> String) -> String {
    let key = Key::new(CHARACTERISTIC);
    let mut redis = servers.redis.connect();
    let cached = format!("gist:{}", key.hex());
    let mut transaction = client.transaction().unwrap();
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&key.lock_key()])
        .unwrap();
    let found: Option<String> = redis::cmd("GET").arg(&cached).query(&mut redis).unwrap();
    let value = found.unwrap_or_else(compute);
    let () = redis::cmd("SET")
        .arg(&cached)
        .arg(&value)
        .query(&mut redis)
        .unwrap();
    transaction.commit().unwrap();
    value
}

#[test]
fn gist_computing_keeps_us_waiting() {
    let servers = Servers::start();
    let (sharing, gist_computes) = (servers.sharing(), AtomicBool::new(false));
    sharing.check().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            gist(&servers, &mut servers.postgres.connect(), || {
                gist_computes.store(true, SeqCst);
                thread::sleep(Duration::from_secs(2));
                gist_computes.store(false, SeqCst);
                "the gist's".to_owned()
            })
        });
        wait_until(LIMIT, "the gist computes", || gist_computes.load(SeqCst));
        let called = Instant::now();
        let value = sharing.work(CHARACTERISTIC).run_blocking(|| {
            assert!(!gist_computes.load(SeqCst), "both at once");
            "ours".to_owned()
        });
        // Its entries are not ours to read; but its lock was.
        assert_eq!(value, "ours");
        let waited = called.elapsed();
        eprintln!("waited {waited:?} for a gist that computed for 2 s");
        assert!(waited < Duration::from_millis(2_000 + 1_500), "{waited:?}");
    });
}

#[test]
fn our_computation_keeps_the_gist_waiting() {
    let servers = Servers::start();
    let (sharing, we_compute) = (servers.sharing(), AtomicBool::new(false));
    thread::scope(|scope| {
        let ours = scope.spawn(|| {
            sharing.work(CHARACTERISTIC).run_blocking(|| {
                we_compute.store(true, SeqCst);
                thread::sleep(Duration::from_secs(2));
                we_compute.store(false, SeqCst);
            });
            Instant::now()
        });
        wait_until(LIMIT, "we compute", || we_compute.load(SeqCst));
        let mut client = servers.postgres.connect();
        gist(&servers, &mut client, || {
            assert!(!we_compute.load(SeqCst), "both at once");
            "the gist's".to_owned()
        });
        let late = ours.join().unwrap().elapsed();
        assert!(
            late < Duration::from_secs(1),
            "released {late:?} after the return"
        );
    });
}

// A namespace is part of the string, so a gist that writes it excludes us, and one that does not, does not.
#[test]
fn namespace_is_a_part_of_the_gists_string() {
    let servers = Servers::start();
    let sharing = servers.builder().namespace("report").build().unwrap();
    let key = sharing.work::<String>("2024:DE").key().clone();
    assert_eq!(key, Key::new(CHARACTERISTIC));
    let mut client = servers.postgres.connect();
    let mut free = |key: &Key| -> bool {
        let sql = "SELECT pg_try_advisory_xact_lock($1)";
        client.query_one(sql, &[&key.lock_key()]).unwrap().get(0)
    };
    let (held, other) = sharing
        .work("2024:DE")
        .run_blocking(|| (free(&key), free(&Key::new("2024:DE"))));
    assert_eq!((held, other), (false, true));
}
