//! Networks that freeze, crawl and break, between a process and its servers. More of case 5.

use std::thread;
use std::time::{Duration, Instant};

use tests::{Callers, Mesh, Proxy, Run, Servers, Setup, scenarios, wait_until};
use worksharing::WorkSharing;

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);

/// After how long without a sign of life the server takes a process's keys away, and how long it may take
/// others to notice.
const DEAD_MAN: Duration = Duration::from_secs(15 + 3);

/// No call may be held up longer than this by servers that do not answer.
const HELD_UP: Duration = Duration::from_secs(15);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Both servers, each behind a proxy for the first worker; the others reach them directly.
struct Behind {
    servers: Servers,
    postgres: Proxy,
    redis: Proxy,
}

impl Behind {
    fn start() -> Self {
        let servers = Servers::start();
        let postgres = Proxy::to(servers.postgres.port());
        let redis = Proxy::to(servers.redis.port());
        Self {
            servers,
            postgres,
            redis,
        }
    }

    fn setup(&self) -> Setup {
        Setup {
            postgres: Some(self.postgres.postgres_url()),
            redis: Some(self.redis.redis_url()),
            ..Setup::default()
        }
    }

    /// The first worker through the proxies, and some more that are not.
    fn mesh(&self, others: usize) -> Mesh {
        let mut mesh = Mesh::start(1, WORKER, &self.setup());
        mesh.workers
            .extend(Mesh::start(others, WORKER, &self.servers.setup()).workers);
        mesh
    }
}

#[test]
fn leader_cut_off_from_its_locks_returns_and_is_not_waited_for() {
    let net = Behind::start();
    let mut mesh = net.mesh(2);
    mesh.workers[0].run(&Run::of("cut off", seconds(2)));
    mesh.wait_for_leader("cut off");
    mesh.workers[1].run(&Run::of("cut off", seconds(2)));
    thread::sleep(Duration::from_millis(500));
    net.postgres.freeze();
    mesh.workers[0].wait(1);
    mesh.workers[1].wait(1);
    let timeline = mesh.timeline();
    // The lock was not released, but the value is there for whoever looks.
    scenarios::assert_computed_once(&timeline, 2);
    let last = timeline.last_served_after_body();
    eprintln!("served {last:?} after the body of a leader that was cut off");
    // At the latest when the server has given the lock up.
    assert!(last <= DEAD_MAN, "{last:?}");
    // Its next call cannot lock: it computes all the same.
    mesh.workers[0].run(&Run::of("another key", Duration::from_millis(100)));
    mesh.workers[0].wait(2);
    let held_up = mesh.timeline().key("another key").longest_call();
    eprintln!("held up {held_up:?} by locks that do not answer");
    assert!(held_up <= HELD_UP, "{held_up:?}");
    net.postgres.thaw();
    scenarios::healed(&mut mesh, "whole again");
    drop(mesh);
    wait_until(LIMIT, "no lock is left", || {
        net.servers.postgres.advisory_locks() == 0
    });
}

#[test]
fn leader_that_vanished_with_its_network_is_followed() {
    let net = Behind::start();
    let mut mesh = net.mesh(2);
    mesh.workers[0].run(&Run::of("vanished", seconds(60)));
    mesh.wait_for_leader("vanished");
    mesh.workers[1].run(&Run::of("vanished", Duration::from_millis(100)));
    net.postgres.freeze();
    net.redis.freeze();
    let at = Instant::now();
    mesh.workers[1].wait(1);
    let takeover = at.elapsed();
    eprintln!("taken over {takeover:?} after the network was gone");
    assert!(takeover <= DEAD_MAN, "{takeover:?}");
}

#[test]
fn values_that_do_not_answer_hold_nobody_up() {
    let net = Behind::start();
    let mut mesh = net.mesh(1);
    assert_eq!(mesh.workers[0].check(), None);
    net.redis.freeze();
    mesh.workers[0]
        .run(&Run::of("frozen values", Duration::from_millis(100)).callers(Callers::Mixed(8)));
    mesh.workers[0].wait(8);
    let held_up = mesh.timeline().longest_call();
    eprintln!("held up {held_up:?} by values that do not answer");
    scenarios::assert_all_served(&mesh.timeline(), 8);
    assert!(held_up <= HELD_UP, "{held_up:?}");
    net.redis.thaw();
    scenarios::healed(&mut mesh, "values again");
}

#[test]
fn slow_network_still_computes_once() {
    let net = Behind::start();
    net.postgres.delay(Duration::from_millis(60));
    net.redis.delay(Duration::from_millis(40));
    let mut mesh = Mesh::start(4, WORKER, &net.setup());
    let run = Run::of("far away", seconds(1)).callers(Callers::Mixed(10));
    scenarios::assert_computed_once(&mesh.run_all(&run), 40);
}

#[test]
fn connections_cut_again_and_again_lose_no_call() {
    let net = Behind::start();
    let mut mesh = net.mesh(1);
    for round in 0..10 {
        mesh.run(
            &Run::of(&format!("round {round}"), Duration::from_millis(300))
                .callers(Callers::Mixed(4)),
        );
        thread::sleep(Duration::from_millis(100));
        if round % 2 == 0 {
            net.postgres.cut()
        } else {
            net.redis.cut()
        }
    }
    scenarios::assert_all_served(&mesh.wait(40), 80);
    scenarios::healed(&mut mesh, "afterwards");
    drop(mesh);
    wait_until(LIMIT, "no lock is left", || {
        net.servers.postgres.advisory_locks() == 0
    });
}

// A waiter's interest is on its way when the connection breaks: it is shown again in the next session, and
// taken back there as often as it was shown.
#[test]
fn interest_lost_on_its_way_is_taken_back_whole() {
    let net = Behind::start();
    let mut mesh = net.mesh(1);
    for round in 0..6 {
        let key = format!("interest {round}");
        mesh.workers[1].run(&Run::of(&key, seconds(2)));
        assert_eq!(mesh.workers[0].check(), None);
        wait_until(LIMIT, "a body begins", || {
            mesh.timeline().key(&key).executions() == 1
        });
        // A round trip takes 200 ms: first the lock is tried, then interest is shown.
        net.postgres.delay(Duration::from_millis(100));
        mesh.workers[0].run(&Run::of(&key, Duration::ZERO));
        thread::sleep(Duration::from_millis(170 + 50 * round));
        net.postgres.cut();
        net.postgres.delay(Duration::ZERO);
        wait_until(LIMIT, "both are served", || {
            mesh.timeline().key(&key).served() == 2
        });
        // In this session: the next round's cut would end it, and what it has left.
        wait_until(seconds(3), "no interest is left", || {
            net.servers.postgres.advisory_locks() == 0
        });
    }
}

// However many tags it has, a look at a value is one request.
#[test]
fn look_at_a_value_and_its_tags_is_one_round_trip() {
    let net = Behind::start();
    let on_postgres = || WorkSharing::builder().postgres(net.postgres.postgres_url());
    let in_redis = || on_postgres().redis(net.redis.redis_url());
    for (builder, store) in [(on_postgres(), &net.postgres), (in_redis(), &net.redis)] {
        let sharing = builder.build().unwrap();
        let tags: Vec<_> = (0..10).map(|tag| format!("tag {tag}")).collect();
        let work = || sharing.work::<u32>("tagged").tags(&tags);
        // PostgreSQL prepares the statement of the first look.
        for _ in 0..2 {
            assert_eq!(work().run_blocking(|| 7), 7);
        }
        store.delay(Duration::from_millis(100));
        let begun = Instant::now();
        let found = work().run_blocking(|| 8);
        let took = begun.elapsed();
        store.delay(Duration::ZERO);
        assert_eq!(found, 7);
        eprintln!("a look at a value with ten tags took {took:?}");
        assert!((200..380).contains(&took.as_millis()), "{took:?}");
    }
}
