//! Servers that die, restart, freeze and are cut off; processes that are frozen. Cases 4, 5, 24.

use std::thread;
use std::time::{Duration, Instant};

use tests::{
    Callers, Mesh, Proxy, Run, Servers, Setup, Stop, Timeline, now_us, scenarios, wait_until,
};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);

/// After how long without a sign of life the server takes a frozen process's keys away, and how long it may
/// take others to notice.
const DEAD_MAN: Duration = Duration::from_secs(15 + 3);

/// No call may be held up longer than this by servers that do not answer.
const HELD_UP: Duration = Duration::from_secs(15);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Everybody was served, with a value.
#[track_caller]
fn assert_all_served(timeline: &Timeline, callers: usize) {
    assert_eq!(timeline.answers().len(), callers);
    assert!(timeline.errors().is_empty(), "{:?}", timeline.errors());
}

// ---- Case 4: SIGSTOP of the leader.

#[test]
fn frozen_leader_is_followed_and_overwrites_nothing() {
    let servers = Servers::start();
    frozen_leader(&servers.setup());
}

#[test]
fn frozen_leader_is_followed_with_values_in_postgres() {
    let servers = Servers::start();
    frozen_leader(&Setup::on_postgres(servers.postgres.url()));
}

#[test]
fn frozen_leader_is_followed_with_leases() {
    let servers = Servers::start();
    frozen_leader(&Setup {
        lock: Some("lease".to_owned()),
        ..servers.setup()
    });
}

fn frozen_leader(setup: &Setup) {
    let mut mesh = Mesh::start(4, WORKER, setup);
    mesh.run(&Run::of("frozen", seconds(2)));
    let leader = mesh.wait_for_leader("frozen");
    thread::sleep(Duration::from_millis(500));
    mesh.workers[leader].sigstop();
    let stopped = now_us();
    let frozen = mesh.workers.remove(leader);
    wait_until(2 * DEAD_MAN, "another takes over", || {
        mesh.timeline().executions() == 1
    });
    let takeover = Duration::from_micros(mesh.timeline().begins()[0].at_us - stopped);
    eprintln!("taken over {takeover:?} after SIGSTOP");
    assert!(takeover <= DEAD_MAN, "{takeover:?}");
    scenarios::assert_computed_once(&mesh.wait(1), 3);
    let successors = mesh.timeline().last_value();
    frozen.sigcont();
    frozen.wait(1);
    // It returns what it computed itself …
    let own = Timeline::of([&frozen]);
    scenarios::assert_computed_once(&own, 1);
    assert_ne!(own.last_value(), successors);
    // … and that overwrote nothing.
    assert_eq!(mesh.workers[0].peek("frozen"), successors);
    mesh.workers.push(frozen);
    scenarios::healed(&mut mesh, "after the freeze");
}

// ---- Case 5: sessions terminated, servers restarted, stopped, missing from the start.

#[test]
fn terminated_lock_session_costs_one_execution_at_most() {
    let servers = Servers::start();
    let mut mesh = Mesh::start(4, WORKER, &servers.setup());
    mesh.run(&Run::of("terminated", seconds(2)));
    mesh.wait_for_leader("terminated");
    thread::sleep(Duration::from_millis(500));
    let at = now_us();
    assert!(servers.postgres.terminate_lock_sessions() > 0);
    let timeline = mesh.wait(1);
    assert_all_served(&timeline, 4);
    assert!(
        timeline.executions() <= 2 && timeline.max_overlap() <= 2,
        "{timeline:?}"
    );
    if let Some(successor) = timeline.begins().get(1) {
        eprintln!(
            "taken over {:?} after the end of the session",
            successor.at_us - at
        );
    }
    scenarios::healed(&mut mesh, "after the termination");
    wait_until(LIMIT, "no lock is left", || {
        servers.postgres.advisory_locks() == 0
    });
}

#[test]
fn postgres_may_restart_during_a_computation() {
    for how in [Stop::Fast, Stop::Immediate] {
        let mut servers = Servers::start();
        let mut mesh = Mesh::start(4, WORKER, &servers.setup());
        mesh.run(&Run::of("restarted", seconds(3)).callers(Callers::Mixed(5)));
        mesh.wait_for_leader("restarted");
        servers.postgres.stop(how);
        servers.postgres.start_again();
        let timeline = mesh.wait(5);
        assert_all_served(&timeline, 20);
        // One in each process at the most.
        assert!(timeline.executions() <= 4, "{}", timeline.executions());
        scenarios::healed(&mut mesh, "after the restart");
    }
}

// Nobody has asked for anything since the restart, so nobody has noticed it: the first call must not pay.
#[test]
fn first_call_after_a_restart_is_shared() {
    let mut servers = Servers::start();
    let mut mesh = Mesh::start(4, WORKER, &servers.setup());
    scenarios::healed(&mut mesh, "before");
    servers.postgres.restart();
    servers.redis.restart();
    let before = now_us();
    mesh.run(&Run::of("after", seconds(1)).callers(Callers::Mixed(3)));
    scenarios::assert_computed_once(&mesh.wait(1 + 3).since(before), 12);
}

#[test]
fn postgres_with_the_values_may_restart_during_a_computation() {
    let mut servers = Servers::start();
    let mut mesh = Mesh::start(4, WORKER, &Setup::on_postgres(servers.postgres.url()));
    mesh.run(&Run::of("restarted", seconds(2)).callers(Callers::Mixed(5)));
    mesh.wait_for_leader("restarted");
    servers.postgres.stop(Stop::Immediate);
    servers.postgres.start_again();
    let timeline = mesh.wait(5);
    assert_all_served(&timeline, 20);
    assert!(timeline.executions() <= 4, "{}", timeline.executions());
    scenarios::healed(&mut mesh, "after the restart");
}

#[test]
fn redis_may_restart_during_a_computation() {
    let mut servers = Servers::start();
    let mut mesh = Mesh::start(4, WORKER, &servers.setup());
    mesh.run(&Run::of("restarted", seconds(2)).callers(Callers::Mixed(5)));
    mesh.wait_for_leader("restarted");
    servers.redis.restart();
    scenarios::assert_computed_once(&mesh.wait(5), 20);
    // Emptied: a miss like any other.
    servers.redis.restart();
    scenarios::healed(&mut mesh, "after the restart");
}

#[test]
fn without_postgres_each_process_computes_once() {
    let mut servers = Servers::start();
    servers.postgres.stop(Stop::Fast);
    let mut mesh = Mesh::start(4, WORKER, &servers.setup());
    let timeline = mesh.run_all(&Run::of("no locks", seconds(1)).callers(Callers::Mixed(6)));
    assert_all_served(&timeline, 24);
    assert!(timeline.executions() <= 4, "{}", timeline.executions());
    assert!(
        timeline.longest_call() <= HELD_UP,
        "{:?}",
        timeline.longest_call()
    );
    assert_degraded(&mut mesh);
    servers.postgres.start_again();
    scenarios::healed(&mut mesh, "with locks");
}

#[test]
fn without_redis_processes_compute_one_after_the_other() {
    let mut servers = Servers::start();
    servers.redis.stop();
    let mut mesh = Mesh::start(3, WORKER, &servers.setup());
    let timeline = mesh.run_all(&Run::of("no values", seconds(1)).callers(Callers::Mixed(6)));
    assert_all_served(&timeline, 18);
    assert_eq!((timeline.executions(), timeline.max_overlap()), (3, 1));
    assert!(
        timeline.longest_call() <= HELD_UP,
        "{:?}",
        timeline.longest_call()
    );
    assert_degraded(&mut mesh);
    servers.redis.start_again();
    scenarios::healed(&mut mesh, "with values");
}

#[test]
fn without_any_server_each_process_computes_once() {
    let mut servers = Servers::start();
    servers.redis.stop();
    servers.postgres.stop(Stop::Fast);
    let mut mesh = Mesh::start(4, WORKER, &servers.setup());
    let timeline = mesh.run_all(&Run::of("nothing", seconds(1)).callers(Callers::Mixed(6)));
    assert_all_served(&timeline, 24);
    assert_eq!(timeline.executions(), 4);
    assert!(
        timeline.longest_call() <= HELD_UP,
        "{:?}",
        timeline.longest_call()
    );
    assert_degraded(&mut mesh);
    servers.redis.start_again();
    servers.postgres.start_again();
    scenarios::healed(&mut mesh, "with everything");
}

/// It counts, and it says so: not never, and not once for every call.
fn assert_degraded(mesh: &mut Mesh) {
    for worker in &mut mesh.workers {
        assert!(worker.stats().degraded > 0);
        let warnings = worker.warnings();
        assert!((1..=6).contains(&warnings.len()), "{warnings:#?}");
    }
}

#[test]
fn servers_that_come_and_go_never_lose_a_call() {
    let mut servers = Servers::start();
    let mut mesh = Mesh::start(3, WORKER, &servers.setup());
    for round in 0..4 {
        mesh.run(&Run::of(&format!("round {round}"), seconds(1)).callers(Callers::Mixed(4)));
        match round {
            0 => servers.redis.stop(),
            1 => servers.postgres.stop(Stop::Immediate),
            2 => servers.redis.start_again(),
            _ => servers.postgres.start_again(),
        }
        thread::sleep(seconds(1));
    }
    assert_all_served(&mesh.wait(16), 48);
    scenarios::healed(&mut mesh, "afterwards");
    wait_until(LIMIT, "no lock is left", || {
        servers.postgres.advisory_locks() == 0
    });
}

// ---- Networks that freeze, crawl and break.

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
    assert_all_served(&mesh.timeline(), 8);
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
    assert_all_served(&mesh.wait(40), 80);
    scenarios::healed(&mut mesh, "afterwards");
    drop(mesh);
    wait_until(LIMIT, "no lock is left", || {
        net.servers.postgres.advisory_locks() == 0
    });
}

// ---- Case 24: a body that blocks its async runtime's only thread for longer than the dead-man time.

#[test]
fn blocked_async_runtime_keeps_its_lock() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    let mut mesh = Mesh::start(1, WORKER, &servers.setup());
    let blocked = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(sharing.work("blocked").try_run(async || {
            thread::sleep(DEAD_MAN + seconds(1));
            Ok::<_, ()>("of the blocked one".to_owned())
        }))
    });
    wait_until(LIMIT, "the body begins", || {
        servers.postgres.advisory_locks() > 0
    });
    let run = Run::of("blocked", Duration::ZERO);
    mesh.run(&run);
    let timeline = mesh.wait(1);
    assert_eq!(timeline.executions(), 0, "somebody took over");
    assert_eq!(timeline.answers(), [Ok("of the blocked one".to_owned())]);
    assert_eq!(blocked.join().unwrap(), Ok("of the blocked one".to_owned()));
}
