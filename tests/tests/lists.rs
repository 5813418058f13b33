//! Lists of several processes that cross: each id is computed once, nobody waits while holding what another waits for, and
//! what a killed process led is led by the others. Case 51.

use std::collections::HashMap;
use std::time::Duration;

use tests::{Event, List, Mesh, Servers, Worker, on_each_setup, wait_until};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

/// The ids in another order for each caller, and some of them twice.
fn shuffled(ids: std::ops::Range<u64>, caller: u64) -> Vec<u64> {
    let many = ids.end - ids.start;
    // Prime to all numbers of ids that are used here.
    let step = [1, 7, 11, 13, 17, 19, 23, 29][caller as usize % 8];
    let place = |n: u64| ids.start + (n * step + caller) % many;
    (0..many + 5).map(place).collect()
}

fn squares(ids: std::ops::Range<u64>) -> Vec<(u64, u64)> {
    ids.map(|id| (id, id * id)).collect()
}

/// How often each id was given to a body.
fn bodies(workers: &[&Worker]) -> HashMap<u64, usize> {
    let mut counts = HashMap::new();
    for event in workers.iter().flat_map(|worker| worker.events()) {
        if let Event::ListBody(ids) = event {
            ids.into_iter()
                .for_each(|id| *counts.entry(id).or_default() += 1);
        }
    }
    counts
}

/// What the lists of a worker came to, once they are so many.
fn listed(worker: &Worker, lists: usize) -> Vec<Vec<(u64, u64)>> {
    let listed = || {
        let events = worker.events().into_iter();
        let listed = events.filter_map(|event| match event {
            Event::Listed(values) => Some(values),
            _ => None,
        });
        listed.collect::<Vec<_>>()
    };
    wait_until(LIMIT, "the lists are served", || listed().len() == lists);
    listed()
}

#[test]
fn each_id_is_computed_once() {
    const LISTS: u64 = 4;
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(3, WORKER, setup);
        for caller in 0..3 * LISTS {
            mesh.workers[caller as usize % 3].list(&List {
                name: "crossed".into(),
                ids: shuffled(0..60, caller),
                body: SHORT,
                detach: caller % 2 == 0,
            });
        }
        for worker in &mesh.workers {
            let all = listed(worker, LISTS as usize);
            assert!(all.iter().all(|values| *values == squares(0..60)));
        }
        let workers: Vec<_> = mesh.workers.iter().collect();
        assert_eq!(bodies(&workers), (0..60).map(|id| (id, 1)).collect());
    });
}

#[test]
fn what_a_killed_process_led_is_led_by_the_others() {
    let servers = Servers::start();
    let mut mesh = Mesh::start(3, WORKER, &servers.setup());
    let [killed, one, two] = &mut mesh.workers[..] else {
        unreachable!("there are three");
    };
    let list = |worker: &mut Worker, ids, body| {
        worker.list(&List {
            name: "left".into(),
            ids: shuffled(ids, 3),
            body,
            detach: false,
        });
    };
    list(killed, 0..30, LIMIT);
    wait_until(LIMIT, "it computes", || bodies(&[killed]).len() == 30);
    list(one, 20..50, SHORT);
    list(two, 10..50, SHORT);
    // What nobody has is computed while the rest is waited for.
    wait_until(LIMIT, "the others compute theirs", || {
        let others = bodies(&[one, two]);
        (30..50).all(|id| others.contains_key(&id))
    });
    assert!((0..30).all(|id| !bodies(&[one, two]).contains_key(&id)));
    killed.kill9();
    assert_eq!(listed(one, 1), [squares(20..50)]);
    assert_eq!(listed(two, 1), [squares(10..50)]);
    assert_eq!(bodies(&[one, two]), (10..50).map(|id| (id, 1)).collect());
}
