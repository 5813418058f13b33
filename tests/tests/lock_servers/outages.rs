//! What is lost with a server: the locks of its keys, and nothing else.

use std::time::Duration;

use tests::{Callers, Mesh, Run, Stop, Worker, scenarios, wait_until};

use crate::{LIMIT, LockServers, WORKER};

const WITHOUT_LOCK: &str = "computing without the lock";
const WITH_LOCK: &str = "the lock is used again";

/// The lines about the lock, in their order, each by its words.
fn troubles(worker: &Worker) -> Vec<&'static str> {
    let known = |line: &String| {
        let lines = [WITHOUT_LOCK, WITH_LOCK];
        lines.into_iter().find(|known| line.contains(known))
    };
    worker.logged().iter().filter_map(known).collect()
}

fn run(key: &str) -> Run {
    Run::of(key, Duration::from_millis(300))
}

/// Each process calls keys that nobody else asks for, one after the other, until it has said this last.
fn call_until_said(mesh: &mut Mesh, keys: &[String], line: &str) {
    let processes = mesh.workers.len();
    for (number, worker) in mesh.workers.iter_mut().enumerate() {
        let mut own = keys.iter().skip(number).step_by(processes);
        wait_until(LIMIT, line, || {
            let served = tests::Timeline::of([&*worker]).served();
            worker.run(&Run::of(own.next().expect("a cold key"), Duration::ZERO));
            worker.wait(served + 1);
            troubles(worker).last() == Some(&line)
        });
    }
}

#[test]
fn one_that_is_down_costs_its_keys_alone() {
    let mut servers = LockServers::start(2);
    let mut mesh = Mesh::start(3, WORKER, &servers.setup());
    let (up, down) = (servers.keys(0, "up", 12), servers.keys(1, "down", 12));
    let cold = [(); 2].map(|()| servers.keys(1, "cold", 900));
    let is_once = |mesh: &mut Mesh, key: &str| {
        mesh.run(&run(key));
        scenarios::assert_computed_once(&mesh.wait_for_answers(key, 3), 3);
    };
    is_once(&mut mesh, &up[0]);
    is_once(&mut mesh, &down[0]);
    let before = mesh.stats();
    assert_eq!(before.degraded, 0);

    servers.postgres[1].stop(Stop::Immediate);
    call_until_said(&mut mesh, &cold[0], WITHOUT_LOCK);
    for (up, down) in up[1..6].iter().zip(&down[1..6]) {
        is_once(&mut mesh, up);
        mesh.run(&run(down));
        scenarios::assert_all_served(&mesh.wait_for_answers(down, 3), 3);
    }
    let counted = mesh.stats() - before;
    assert!(counted.degraded >= 5 * 3, "{counted:?}");
    let port = servers.postgres[1].port().to_string();
    for worker in &mesh.workers {
        let warnings = worker.warnings();
        assert_eq!(warnings.len(), 1, "said once: {warnings:?}");
        assert!(warnings[0].contains(&port), "{warnings:?}");
    }

    servers.postgres[1].start_again();
    call_until_said(&mut mesh, &cold[1], WITH_LOCK);
    let before = mesh.stats();
    for (up, down) in up[6..].iter().zip(&down[6..]) {
        is_once(&mut mesh, up);
        is_once(&mut mesh, down);
    }
    assert_eq!((mesh.stats() - before).degraded, 0);
    for worker in &mesh.workers {
        assert_eq!(troubles(worker), [WITHOUT_LOCK, WITH_LOCK]);
    }
}

#[test]
fn keys_of_the_others_are_computed_once_while_one_is_killed_and_comes_back() {
    let mut servers = LockServers::start(3);
    let mut mesh = Mesh::start(4, WORKER, &servers.setup());
    let keys = [0, 1, 2].map(|server| servers.keys(server, "loaded", 40));
    let callers = Callers::Mixed(4);
    for wave in 0..40 {
        for keys in &keys {
            mesh.run(&Run::of(&keys[wave], Duration::from_millis(50)).callers(callers));
        }
        match wave {
            10 => servers.postgres[2].stop(Stop::Immediate),
            25 => servers.postgres[2].start_again(),
            _ => {}
        }
        for keys in &keys[..2] {
            let timeline = mesh.wait_for_answers(&keys[wave], 16);
            scenarios::assert_computed_once(&timeline, 16);
        }
    }
    for key in &keys[2] {
        scenarios::assert_all_served(&mesh.wait_for_answers(key, 16), 16);
    }
    let next = servers.keys(2, "next", 1);
    scenarios::healed(&mut mesh, &next[0]);
}
