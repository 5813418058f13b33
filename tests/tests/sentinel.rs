//! Values in the primary that sentinels name, and primaries that are none any more. Case 52.

use std::time::Duration;

use tests::{
    Mesh, PostgresServer, RedisKind, RedisSentinel, RedisServer, Run, Setup, now_us, wait_until,
    whole,
};
use worksharing::{WorkSharing, testing};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);

fn on(url: String) -> WorkSharing {
    let builder = WorkSharing::builder().redis(url);
    let local = worksharing::lock::Local::new();
    builder.lock(local).build().unwrap()
}

#[test]
fn primary_that_sentinels_name_is_a_store() {
    RedisKind::ALL.into_iter().for_each(is_a_store);
}

fn is_a_store(kind: RedisKind) {
    let sentinel = RedisSentinel::of(kind);
    let sharing = on(sentinel.url());
    sharing.check().unwrap();
    let (store, _) = testing::backends(&sharing);
    testing::store::conformance(&store, &testing::RealTime);
    let keys: usize = sentinel.servers[0].ask(&["DBSIZE"]);
    assert!(keys > 0, "it is the primary that has them");
    let unknown = on(sentinel.url().replace("/ours", "/theirs"));
    let error = whole(&unknown.check().unwrap_err());
    assert!(error.contains("theirs"), "{error}");
    let itself = on(format!("redis://127.0.0.1:{}", sentinel.port()));
    let error = whole(&itself.check().unwrap_err());
    assert!(error.contains("redis-sentinel://"), "{error}");
}

#[test]
fn failed_primary_is_replaced_by_whom_the_sentinels_promote() {
    let (postgres, mut sentinel) = (PostgresServer::start(), RedisSentinel::start());
    let setup = Setup {
        postgres: Some(postgres.url()),
        redis: Some(sentinel.url()),
        ..Setup::default()
    };
    let mut mesh = Mesh::start(2, WORKER, &setup);
    let run = Run::of("key", Duration::from_millis(5));
    assert_eq!(mesh.bodies_of(&run), 1);
    sentinel.servers[0].stop();
    // Every call is answered meanwhile.
    wait_until(LIMIT, "it is shared again", || mesh.bodies_of(&run) == 0);
    let role: String = sentinel.servers[1].ask(&["INFO", "replication"]);
    assert!(role.contains("role:master"), "{role}");
}

/// A replica tells what was there before an invalidation, too.
#[test]
fn primary_that_is_demoted_is_let_go_of() {
    let [server, other] = [(); 2].map(|()| RedisServer::start());
    let sharing = on(server.url());
    let call = || sharing.work::<u64>("key").run_blocking(now_us);
    let first = call();
    assert_eq!(call(), first);
    // Its replication waits for a primary that does not answer, so it keeps what it has.
    let port = other.port().to_string();
    drop(other);
    server.ask::<()>(&["REPLICAOF", "127.0.0.1", &port]);
    wait_until(LIMIT, "it is asked nothing any more", || call() != first);
    let error = whole(&sharing.check().unwrap_err());
    assert!(error.contains("replica"), "{error}");
    server.ask::<()>(&["REPLICAOF", "NO", "ONE"]);
    wait_until(LIMIT, "it is used again", || call() == call());
}
