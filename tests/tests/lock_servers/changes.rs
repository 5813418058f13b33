//! Changes, for values that are kept in the processes: told and heard one way, whatever server a key is on.

use std::time::{Duration, Instant};

use tests::{
    Mesh, PgBouncer, PoolMode, PostgresServer, Run, Setup, Stop, Worker, scenarios, wait_until,
};
use worksharing::{Builder, WorkSharing};

use crate::{LIMIT, LockServers, WORKER};

const HOUR: Duration = Duration::from_secs(3600);

fn call(sharing: &WorkSharing, key: &str, value: u64) -> u64 {
    let work = sharing.work(key).ttl(HOUR).local(HOUR);
    work.run_blocking(|| value)
}

/// Each key's change in one of the runtimes is soon seen in the other, which hears of it: unheard it would take a minute.
fn changes_are_heard(builder: impl Fn() -> Builder, keys: &[String]) {
    let build = || builder().max_local_age(Duration::from_secs(60)).build();
    let (one, other) = (build().unwrap(), build().unwrap());
    for (number, key) in keys.iter().enumerate() {
        let (old, new) = (2 * number as u64, 2 * number as u64 + 1);
        assert_eq!(call(&one, key, old), old);
        let before = other.stats().local;
        wait_until(LIMIT, "it is kept and changes are heard", || {
            assert_eq!(call(&other, key, new), old);
            other.stats().local > before + 20
        });
        one.work::<u64>(key).invalidate_blocking().unwrap();
        let invalidated = Instant::now();
        wait_until(LIMIT, "the change is seen", || {
            call(&other, key, new) == new
        });
        let took = invalidated.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    assert_eq!(one.stats().degraded + other.stats().degraded, 0);
}

fn keys(servers: &LockServers) -> Vec<String> {
    let of = |server| servers.keys(server, "changed", 2);
    [of(0), of(1)].concat()
}

#[test]
fn they_are_heard_on_the_first_server_where_there_is_no_other() {
    let servers = LockServers::start(2);
    let redis = servers.redis.url();
    let builder = || {
        WorkSharing::builder()
            .redis(&redis)
            .lock_servers(servers.urls())
    };
    changes_are_heard(builder, &keys(&servers));
    // Whoever writes the list in another order has the same first one.
    let turned = std::cell::Cell::new(false);
    let by_turns = || {
        let mut urls = servers.urls();
        if turned.replace(!turned.get()) {
            urls.reverse();
        }
        builder().lock_servers(urls)
    };
    let more = [servers.keys(0, "more", 1), servers.keys(1, "more", 1)];
    changes_are_heard(by_turns, &more.concat());
}

#[test]
fn they_are_heard_on_the_database_of_postgres_where_that_is_named() {
    let mut servers = LockServers::start(2);
    let (redis, urls) = (servers.redis.url(), servers.urls());
    let database = PostgresServer::start();
    let keys = [servers.keys(0, "up", 2), servers.keys(1, "down", 2)];
    let with = |url: String| {
        let builder = WorkSharing::builder().redis(&redis).lock_servers(&urls);
        builder.postgres(url)
    };
    changes_are_heard(
        || with(database.url()),
        &[&keys[0][..1], &keys[1][..1]].concat(),
    );
    // Whichever lock server is down, changes are heard.
    servers.postgres[1].stop(Stop::Fast);
    changes_are_heard(|| with(database.url()), &keys[0][1..]);
    servers.postgres[1].start_again();
    // It may be a lock server itself, and has no sessions more then.
    changes_are_heard(|| with(urls[1].clone()), &keys[1][1..]);
}

// Values go through the pooler, and nobody locks there: it is not said that leases are used.
#[test]
fn values_may_go_through_a_pooler() {
    let servers = LockServers::start(2);
    let values = PostgresServer::start();
    let bouncer = PgBouncer::start(&values, PoolMode::Transaction);
    for lock in [None, Some("session".to_owned())] {
        let setup = Setup {
            postgres: Some(bouncer.url()),
            redis: None,
            lock,
            ..servers.setup()
        };
        let mut mesh = Mesh::start(2, WORKER, &setup);
        assert_eq!(mesh.workers[0].check(), None);
        for key in keys(&servers) {
            let run = Run::of(&key, Duration::from_secs(1));
            mesh.run(&run);
            scenarios::assert_computed_once(&mesh.wait_for_answers(&key, 2), 2);
            assert_eq!(mesh.workers[0].invalidate(&key), None);
        }
        let said: Vec<_> = mesh.workers.iter().flat_map(Worker::warnings).collect();
        assert!(said.is_empty(), "{said:?}");
    }
}

#[test]
fn server_of_both_locks_and_values_has_two_sessions() {
    let servers = LockServers::start(2);
    let builder = WorkSharing::builder().postgres(servers.postgres[0].url());
    let sharing = builder.lock_servers(servers.urls()).build().unwrap();
    sharing.check().unwrap();
    for server in &servers.postgres {
        wait_until(LIMIT, "two sessions are there", || server.sessions() == 2);
    }
    for key in keys(&servers) {
        assert_eq!(call(&sharing, &key, 7), 7);
        sharing.work::<u64>(&key).invalidate_blocking().unwrap();
    }
    for server in &servers.postgres {
        assert_eq!(server.sessions(), 2);
    }
}
