//! Lists that differ from process to process, as while one is changed.

use std::collections::BTreeSet;
use std::time::Duration;

use tests::{Callers, Mesh, Run, Setup, Worker};

use crate::{LockServers, WORKER, among};

/// Runs so many cold keys in all processes at once.
fn run(mesh: &mut Mesh, name: &str, keys: usize) -> Vec<String> {
    let run = Run::of(name, Duration::from_millis(1_500)).callers(Callers::Tasks(keys));
    let run = run.distinct();
    mesh.run(&run);
    let keys: Vec<_> = (0..keys).map(|number| format!("{name}{number}")).collect();
    for key in &keys {
        let timeline = mesh.wait_for_answers(key, mesh.workers.len());
        assert!(timeline.errors().is_empty(), "{:?}", timeline.errors());
    }
    keys
}

fn nothing_is_said(mesh: &mut Mesh) {
    assert_eq!(mesh.stats().degraded, 0);
    let said: Vec<_> = mesh.workers.iter().flat_map(Worker::warnings).collect();
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn keys_that_do_not_move_are_computed_once() {
    let servers = LockServers::start(3);
    let urls = servers.urls();
    let before = Setup {
        lock_servers: urls[..2].to_vec(),
        ..servers.setup()
    };
    let workers = [before, servers.setup()].map(|setup| Worker::start(WORKER, &setup));
    let workers = workers.into();
    let mut mesh = Mesh { workers };
    let keys = run(&mut mesh, "moved? ", 90);
    let mut client = servers.postgres[0].connect();
    let mut moved = BTreeSet::new();
    for key in &keys {
        let bodies = mesh.timeline().key(key).executions();
        if among(&mut client, &servers.postgres, key) == 2 {
            moved.insert(key);
            assert!(bodies <= 2, "{key}: {bodies}");
        } else {
            assert_eq!(bodies, 1, "{key}");
        }
        // Whatever was computed twice, one value stands, and all see that.
        let seen: BTreeSet<_> = mesh.workers.iter_mut().map(|it| it.peek(key)).collect();
        assert_eq!(seen.len(), 1, "{key}: {seen:?}");
    }
    eprintln!("{} of {} keys have moved", moved.len(), keys.len());
    assert!((10..60).contains(&moved.len()), "{}", moved.len());
    nothing_is_said(&mut mesh);
}

#[test]
fn order_and_repetitions_do_not_matter() {
    let servers = LockServers::start(3);
    let [a, b, c] = servers.urls().try_into().unwrap();
    let lists = [
        vec![a.clone(), b.clone(), c.clone()],
        vec![
            c.clone(),
            b.clone(),
            a.clone(),
            b.clone(),
            b.replace('?', ""),
        ],
        // Whoever connects, and how, is no part of it.
        vec![
            b.replace("postgres@", "other:secret@"),
            format!("{c}?connect_timeout=9"),
            a,
        ],
    ];
    let sql = "CREATE ROLE other SUPERUSER LOGIN PASSWORD 'secret'";
    servers.postgres[1].connect().batch_execute(sql).unwrap();
    let workers = lists.map(|lock_servers| {
        let setup = servers.setup();
        Worker::start(
            WORKER,
            &Setup {
                lock_servers,
                ..setup
            },
        )
    });
    let workers = workers.into();
    let mut mesh = Mesh { workers };
    for key in run(&mut mesh, "ordered ", 60) {
        assert_eq!(mesh.timeline().key(&key).executions(), 1, "{key}");
    }
    nothing_is_said(&mut mesh);
}
