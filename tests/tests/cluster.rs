//! Values in a Redis Cluster. Cases 48 and 52.

use std::time::Duration;

use tests::{
    Mesh, Options, PostgresServer, RedisCluster, RedisKind, RedisServer, Run, Setup, wait_until,
    whole,
};
use worksharing::{ErrorKind, WorkSharing, testing};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn setup(postgres: &PostgresServer, cluster: &RedisCluster) -> Setup {
    Setup {
        postgres: Some(postgres.url()),
        redis: Some(cluster.url()),
        ..Setup::default()
    }
}

#[test]
fn cluster_is_a_store() {
    RedisKind::ALL.into_iter().for_each(is_a_store);
}

fn is_a_store(kind: RedisKind) {
    let cluster = RedisCluster::of(kind);
    let sharing = WorkSharing::builder()
        .redis(cluster.url())
        .lock(worksharing::lock::Local::new())
        .build()
        .unwrap();
    sharing.check().unwrap();
    let (store, _) = testing::backends(&sharing);
    testing::store::conformance(&store, &testing::RealTime);
    // Values of more than one piece, too.
    let large = "x".repeat(3 << 20);
    let work = || sharing.work::<String>("large");
    work().run_blocking(|| large.clone());
    assert_eq!(work().peek_blocking(), Some(large));
}

#[test]
fn keys_of_all_slots_are_shared() {
    let (postgres, cluster) = (PostgresServer::start(), RedisCluster::start());
    let mut mesh = Mesh::start(3, WORKER, &setup(&postgres, &cluster));
    for at in 0..40 {
        let tags = [format!("a:{at}"), "all".to_owned(), format!("b:{}", at % 2)];
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let run = Run::of(&format!("key {at}"), ms(5)).options(Options::tags(&tags));
        assert_eq!(mesh.bodies_of(&run), 1, "{at}");
        assert_eq!(mesh.bodies_of(&run), 0, "{at}");
    }
    for node in &cluster.nodes[..3] {
        assert!(node.ask::<usize>(&["DBSIZE"]) > 5, "each has some of them");
    }
}

#[test]
fn failed_primary_is_replaced() {
    let (postgres, mut cluster) = (PostgresServer::start(), RedisCluster::start());
    let mut mesh = Mesh::start(3, WORKER, &setup(&postgres, &cluster));
    let runs: Vec<Run> = (0..30)
        .map(|at| Run::of(&format!("key {at}"), ms(5)))
        .collect();
    for run in &runs {
        assert_eq!(mesh.bodies_of(run), 1);
    }
    cluster.nodes[1].stop();
    // Every call is answered meanwhile, with or without a store.
    let answered = |mesh: &mut Mesh, bodies: usize| {
        let bodies_now: usize = runs.iter().map(|run| mesh.bodies_of(run)).sum();
        println!("{bodies_now} bodies");
        bodies_now <= bodies
    };
    answered(&mut mesh, 0);
    // What the replica took over in time is found there, and what is computed now is shared.
    wait_until(LIMIT, "all is shared again", || answered(&mut mesh, 0));
    cluster.nodes[1].start_again();
    cluster.wait_until_whole();
    cluster.wait_until("the old primary follows", |node| {
        node.port() != cluster.nodes[1].port()
            || node
                .ask::<String>(&["INFO", "replication"])
                .contains("role:slave")
    });
    assert!(answered(&mut mesh, 0), "it sends on what it is asked");
}

#[test]
fn slots_are_moved_under_load() {
    let postgres = PostgresServer::start();
    for kind in RedisKind::ALL {
        let cluster = RedisCluster::of(kind);
        let mut mesh = Mesh::start(2, WORKER, &setup(&postgres, &cluster));
        cluster.move_slot_under(&mut mesh);
    }
}

#[test]
fn what_a_cluster_lacks_is_told() {
    let check = |url: String| {
        let sharing = WorkSharing::builder()
            .redis(url)
            .lock(worksharing::lock::Local::new())
            .build()
            .unwrap();
        let error = sharing.check().unwrap_err();
        (error.kind(), whole(&error))
    };
    let alone = RedisServer::start();
    let url = alone.url().replace("redis://", "redis-cluster://");
    let (kind, text) = check(url);
    assert_eq!(kind, ErrorKind::Unsuitable);
    assert!(text.contains("redis://host"), "{text}");
    let node = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", "0", "100", "102", "16383"]);
    let url = node.url().replace("redis://", "redis-cluster://");
    let (_, text) = check(url);
    assert!(text.contains("slot 101"), "{text}");
}
