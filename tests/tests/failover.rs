//! A fail-over of PostgreSQL to a promoted standby: behind one address, and in a list of hosts. Case 55.

use std::time::Duration;

use tests::{Ordeal, PostgresServer, Proxy, RedisServer, Run, Setup, Stop, scenarios};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");

#[test]
fn promoted_standby_takes_over() {
    let mut primary = PostgresServer::start();
    let standby = primary.standby();
    let (redis, address) = (RedisServer::start(), Proxy::to(primary.port()));
    let ports = [&primary, &standby].map(|server| format!("127.0.0.1:{}", server.port()));
    let listed = format!("postgres://postgres@{}/postgres", ports.join(","));
    let setups = [
        Setup::on_postgres(address.postgres_url()),
        Setup {
            redis: Some(redis.url()),
            ..Setup::on_postgres(listed)
        },
    ];
    let mut ordeals = setups
        .each_ref()
        .map(|setup| Ordeal::start(2, WORKER, setup));
    let begin = |ordeal: &mut Ordeal| {
        let key = ordeal.key("under way");
        ordeal.mesh.run(&Run::of(&key, Duration::from_secs(3)));
        ordeal.mesh.wait_for_leader(&key);
        key
    };
    let keys = ordeals.each_mut().map(begin);
    primary.stop(Stop::Immediate);
    address.lead_to(standby.port());
    for ordeal in &mut ordeals {
        ordeal.call_often();
        ordeal.each_says(
            "computing without the lock",
            &["standby", "cannot be reached"],
        );
    }
    ordeals[0].each_says("the store is not used", &["standby"]);
    standby.psql("SELECT pg_promote()");
    for (ordeal, key) in ordeals.iter_mut().zip(&keys) {
        let timeline = ordeal.mesh.wait_for_answers(key, 2);
        scenarios::assert_all_served(&timeline, 2);
        assert!(timeline.executions() <= 2, "{timeline:?}");
        ordeal.ends();
    }
}
