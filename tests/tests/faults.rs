//! Servers that die, restart, freeze and are cut off; processes that are frozen. Cases 4, 5, 24.

use std::thread;
use std::time::Duration;

use tests::{Callers, Mesh, Run, Servers, Setup, Stop, Timeline, now_us, scenarios, wait_until};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);

/// After how long without a sign of life the server takes a frozen process's keys away, and how long it may
/// take others to notice.
const DEAD_MAN: Duration = Duration::from_secs(15 + 3);

/// After how long somebody must take over when a session has ended.
const TAKEOVER: Duration = Duration::from_millis(1_500);

/// No call may be held up longer than this by servers that do not answer.
const HELD_UP: Duration = Duration::from_secs(15);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
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
    frozen_leader(&servers.leases());
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
    scenarios::assert_all_served(&timeline, 4);
    assert!(
        timeline.executions() <= 2 && timeline.max_overlap() <= 2,
        "{timeline:?}"
    );
    if let Some(successor) = timeline.begins().get(1) {
        let takeover = Duration::from_micros(successor.at_us - at);
        eprintln!("taken over {takeover:?} after the end of the session");
        assert!(takeover <= TAKEOVER, "{takeover:?}");
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
        scenarios::assert_all_served(&timeline, 20);
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
    scenarios::assert_all_served(&timeline, 20);
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
    scenarios::assert_all_served(&timeline, 24);
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
fn without_redis_no_process_waits_for_another() {
    let mut servers = Servers::start();
    servers.redis.stop();
    let mut mesh = Mesh::start(3, WORKER, &servers.setup());
    let timeline = mesh.run_all(&Run::of("no values", seconds(1)).callers(Callers::Mixed(6)));
    scenarios::assert_all_served(&timeline, 18);
    // Nothing would come of waiting. Who joined late, and cannot know what was there, is served by a second body.
    assert!(timeline.executions() <= 6, "{}", timeline.executions());
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
fn without_any_server_each_process_computes_for_itself() {
    let mut servers = Servers::start();
    servers.redis.stop();
    servers.postgres.stop(Stop::Fast);
    let mut mesh = Mesh::start(4, WORKER, &servers.setup());
    let timeline = mesh.run_all(&Run::of("nothing", seconds(1)).callers(Callers::Mixed(6)));
    scenarios::assert_all_served(&timeline, 24);
    assert!(timeline.executions() <= 8, "{}", timeline.executions());
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
    scenarios::assert_all_served(&mesh.wait(16), 48);
    scenarios::healed(&mut mesh, "afterwards");
    wait_until(LIMIT, "no lock is left", || {
        servers.postgres.advisory_locks() == 0
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
            Ok::<_, ()>(Some("of the blocked one".to_owned()))
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
    assert_eq!(
        blocked.join().unwrap(),
        Ok(Some("of the blocked one".to_owned()))
    );
}
