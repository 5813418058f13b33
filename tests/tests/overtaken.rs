//! Case 46: a computation is overtaken, its key is invalidated, what was computed then has had its time, and is perhaps gone
//! from the store, and only then the old computation ends. It is stored nowhere, and given to nobody who comes later.

use std::thread;
use std::time::Duration;

use tests::{Callers, Mesh, OldEntries, Run, Servers, Setup, Timeline, Values, wait_until};
use worksharing::Key;

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);

/// What becomes of the newer value before the old computation ends.
const CASES: [Case; 3] = [
    // It is not fresh any more, and stands. No look comes before the put: its fence decides.
    Case::new("expired", 1, 3),
    // It is not fresh any more, and its store has forgotten it.
    Case::new("forgotten", 1, 14),
    // Its store loses it as soon as it may.
    Case::new("evicted", 60, 14),
];

struct Case {
    key: &'static str,
    ttl: Duration,
    body: Duration,
}

impl Case {
    const fn new(key: &'static str, ttl: u64, body: u64) -> Self {
        Self {
            key,
            ttl: Duration::from_secs(ttl),
            body: Duration::from_secs(body),
        }
    }

    fn run(&self, body: Duration) -> Run {
        Run::of(self.key, body).ttl(self.ttl)
    }
}

#[test]
fn overtaken_computation_is_stored_nowhere_and_given_to_nobody_who_comes_later() {
    thread::scope(|scope| {
        for in_redis in [true, false] {
            scope.spawn(move || {
                let servers = Servers::start();
                let setup = match in_redis {
                    true => servers.setup(),
                    false => Setup::on_postgres(servers.postgres.url()),
                };
                overtake(&servers, &setup);
            });
        }
    });
}

fn overtake(servers: &Servers, setup: &Setup) {
    let mut mesh = Mesh::start(2, WORKER, setup);
    let mut values = Values::of(servers, setup);
    for case in &CASES {
        mesh.workers[0].run(&case.run(case.body));
        mesh.wait_for_leader(case.key);
    }
    assert!(servers.postgres.terminate_lock_sessions() > 0);
    for case in &CASES {
        assert_eq!(mesh.workers[1].invalidate(case.key), None);
        mesh.workers[1].run(&case.run(Duration::ZERO));
        mesh.wait_for_answers(case.key, 1);
        let newer = mesh.timeline().key(case.key).last_value();
        assert_eq!(mesh.workers[1].peek(case.key), newer, "it is stored");
    }
    let newer = values.seen(&Key::new("expired"));
    assert_refused(&mut mesh, "expired", 1);
    assert_eq!(values.seen(&Key::new("expired")), newer, "it stands");
    lose("evicted", &mut values);
    assert_refused(&mut mesh, "forgotten", 3);
    for case in &CASES[1..] {
        assert!(values.seen(&Key::new(case.key)).is_empty(), "{}", case.key);
    }
    for case in &CASES {
        mesh.run(&case.run(Duration::ZERO).callers(Callers::Mixed(2)));
        mesh.wait_for_answers(case.key, 2 + 4);
        assert_nothing_older(&mesh.timeline(), case.key);
    }
}

/// The old computation ends, and so many have been refused by then.
fn assert_refused(mesh: &mut Mesh, key: &str, count: u64) {
    mesh.wait_for_bodies(key, 2);
    wait_until(LIMIT, "they are refused", || {
        mesh.workers[0].stats().refused == count
    });
    assert_eq!(mesh.workers[0].stats().stored, 0);
}

/// The store loses what stands under the key, once it may.
fn lose(key: &str, values: &mut Values) {
    let (key, mut old_entries) = (Key::new(key), OldEntries::default());
    wait_until(LIMIT, "the store may lose it", || {
        let old = old_entries.look(values, &key);
        old.is_some_and(|seen| values.evict(&key, &seen))
    });
}

/// Its own caller had asked before the invalidation, and is given it.
fn assert_nothing_older(timeline: &Timeline, key: &str) {
    let invalidations = timeline.invalidations(key, &[]);
    assert_eq!(invalidations.len(), 1);
    let timeline = timeline.key(key);
    let older = timeline.older_than(&invalidations, |_| Duration::ZERO);
    assert!(older.is_empty(), "{older:?}");
    let overtaken = timeline.bodies().swap_remove(0);
    let given = timeline.calls();
    let given = given.iter().filter(|call| call.spans(&overtaken));
    assert_eq!(given.count(), 1, "{key}");
    assert_eq!(timeline.executions(), 3, "{key}");
}
