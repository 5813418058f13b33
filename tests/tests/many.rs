//! Work of many keys at once, over each kind of backend. Case 51.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use tests::{Protocol, Proxy, Servers};
use worksharing::{Builder, WorkSharing};

const TTL: Duration = Duration::from_secs(60);

/// Calls the test with what makes a process, for each kind of backend.
fn on_each_backend(test: impl Fn(&dyn Fn() -> WorkSharing)) {
    let servers = Servers::start();
    let directory = tempfile::tempdir().unwrap();
    let build = |builder: Builder| builder.build().unwrap();
    let on_postgres = || WorkSharing::builder().postgres(servers.postgres.url());
    test(&|| build(on_postgres().redis(servers.redis.url())));
    test(&|| build(on_postgres().table("only_postgres")));
    test(&|| build(WorkSharing::builder().directory(directory.path())));
}

/// The ids in another order for each caller.
fn shuffled(ids: u64, caller: u64) -> Vec<u64> {
    // Prime to all numbers of ids that are used here.
    let step = [1, 7, 11, 13, 17, 19, 23, 29][caller as usize % 8];
    (0..ids).map(|id| (id * step + caller) % ids).collect()
}

#[test]
fn crossed_lists_of_several_processes_compute_each_id_once() {
    const IDS: u64 = 60;
    on_each_backend(|process| {
        let processes: Vec<_> = (0..4).map(|_| process()).collect();
        let bodies = Mutex::new(BTreeMap::new());
        let call = |sharing: &WorkSharing, caller| {
            let many = sharing.many(shuffled(IDS, caller), |id| format!("crossed:{id}"));
            many.with(|work, _| work.ttl(TTL)).run_blocking(|missing| {
                thread::sleep(Duration::from_millis(50));
                let mut bodies = bodies.lock().unwrap();
                let square = |id| {
                    *bodies.entry(id).or_insert(0) += 1;
                    (id, id * id)
                };
                missing.into_iter().map(square).collect::<HashMap<_, _>>()
            })
        };
        thread::scope(|scope| {
            for caller in 0..8 {
                let (sharing, call) = (&processes[caller as usize % 4], &call);
                scope.spawn(move || {
                    let all = call(sharing, caller);
                    assert_eq!(all, (0..IDS).map(|id| (id, id * id)).collect());
                });
            }
        });
        let once = (0..IDS).map(|id| (id, 1)).collect();
        assert_eq!(bodies.into_inner().unwrap(), once);
    });
}

/// As many tasks of one runtime, whose threads are few.
#[test]
fn crossed_lists_of_many_tasks_are_served() {
    const IDS: u64 = 30;
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    on_each_backend(|process| {
        let processes: Vec<_> = (0..2).map(|_| process()).collect();
        let calls: Vec<_> = (0..40)
            .map(|caller| {
                let sharing = processes[caller as usize % 2].clone();
                tokio.spawn(async move {
                    let many = sharing.many(shuffled(IDS, caller), |id| format!("tasks:{id}"));
                    let many = many.with(|work, _| work.ttl(TTL));
                    many.run(|missing| async move {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        missing
                            .into_iter()
                            .map(|id| (id, id))
                            .collect::<BTreeMap<_, _>>()
                    })
                    .await
                })
            })
            .collect();
        for call in calls {
            let all = tokio.block_on(call).unwrap();
            assert_eq!(
                all.into_values().collect::<Vec<_>>(),
                (0..IDS).collect::<Vec<_>>()
            );
        }
        let computed: u64 = processes.iter().map(|it| it.stats().computed).sum();
        assert_eq!(computed, IDS);
    });
}

/// What it asks of servers goes together: a thousand ids take the round trips of one.
#[test]
fn a_thousand_ids_take_the_round_trips_of_one() {
    let servers = Servers::start();
    let postgres = Proxy::counting(servers.postgres.port(), Protocol::Postgres);
    let redis = Proxy::counting(servers.redis.port(), Protocol::Redis);
    let sharing = WorkSharing::builder()
        .postgres(postgres.postgres_url())
        .redis(redis.redis_url())
        .build()
        .unwrap();
    let trips = |ids: std::ops::Range<u64>| {
        let trips = || [postgres.round_trips(), redis.round_trips()];
        let before = trips();
        let many = sharing.many(ids.clone(), |id| format!("far:{id}"));
        let all: BTreeMap<_, _> = many
            .with(|work, _| work.ttl(TTL))
            .run_blocking(|missing| missing.into_iter().map(|id| (id, id)).collect());
        assert_eq!(all.len() as u64, ids.end - ids.start);
        // What is released behind its back, too.
        sharing.drain_blocking(TTL).unwrap();
        let after = trips();
        [after[0] - before[0], after[1] - before[1]]
    };
    trips(0..1);
    let (one, cold, stored) = (trips(1..2), trips(2..1_002), trips(1..1_001));
    eprintln!("to PostgreSQL and Redis: one {one:?}, 1,000 cold {cold:?}, 1,000 stored {stored:?}");
    // Their answers come one after the other, so some may be asked for what is next before the last one is here.
    assert!(cold[0] <= one[0] + 4 && cold[1] <= one[1] + 3, "{cold:?}");
    assert!(stored[0] <= 1 && stored[1] <= 2, "{stored:?}");
}
