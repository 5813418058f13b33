//! TLS to the nodes of a Redis Cluster, and to sentinels and whom they name. Case 52.

use std::time::Duration;

use tests::{
    Certificates, Mesh, PostgresServer, RedisCluster, RedisSentinel, Run, Setup, wait_until, whole,
};
use worksharing::{WorkSharing, lock, testing};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);

fn on(url: String) -> WorkSharing {
    let builder = WorkSharing::builder().redis(url);
    builder.lock(lock::Local::new()).build().unwrap()
}

fn mesh(url: String) -> (PostgresServer, Mesh) {
    let postgres = PostgresServer::start();
    let setup = Setup {
        postgres: Some(postgres.url()),
        redis: Some(url),
        ..Setup::default()
    };
    let mesh = Mesh::start(2, WORKER, &setup);
    (postgres, mesh)
}

/// Its certificate is for the name by which nodes are called, and not for their addresses, by which they call each other.
#[test]
fn cluster_is_spoken_to_by_the_names_of_its_nodes() {
    let name = "cluster_is_spoken_to_by_the_names_of_its_nodes";
    Certificates::trusting("ca.pem", name, |files| {
        let mut cluster = RedisCluster::with_tls(files);
        let sharing = on(cluster.tls_url());
        sharing.check().unwrap();
        let (store, _) = testing::backends(&sharing);
        testing::store::conformance(&store, &testing::RealTime);
        let by_address = on(cluster.tls_url().replace("localhost", "127.0.0.1"));
        let error = whole(&by_address.check().unwrap_err());
        assert!(error.contains("another name"), "{error}");
        let (_postgres, mut mesh) = mesh(cluster.tls_url());
        cluster.move_slot_under(&mut mesh);
        let runs: Vec<Run> = (0..10)
            .map(|at| Run::of(&format!("key {at}"), Duration::from_millis(5)))
            .collect();
        cluster.nodes[1].stop();
        wait_until(LIMIT, "all is shared again", || {
            let bodies = runs.iter().map(|run| mesh.bodies_of(run));
            bodies.sum::<usize>() == 0
        });
    });
}

#[test]
fn primary_is_asked_for_and_spoken_to_through_tls() {
    let name = "primary_is_asked_for_and_spoken_to_through_tls";
    Certificates::trusting("ca.pem", name, |files| {
        let mut sentinel = RedisSentinel::with_tls(files);
        on(sentinel.tls_url()).check().unwrap();
        let by_name = on(sentinel.tls_url().replace("127.0.0.1", "localhost"));
        let error = whole(&by_name.check().unwrap_err());
        assert!(error.contains("another name"), "{error}");
        let (_postgres, mut mesh) = mesh(sentinel.tls_url());
        let run = Run::of("key", Duration::from_millis(5));
        assert_eq!(mesh.bodies_of(&run), 1);
        assert_eq!(mesh.bodies_of(&run), 0);
        sentinel.servers[0].stop();
        wait_until(LIMIT, "it is shared again", || mesh.bodies_of(&run) == 0);
    });
}
