//! Tags, over processes. Case 48.

use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tests::{
    Callers, End, Mesh, Options, RedisCluster, Run, Servers, Setup, Timeline, now_us, wait_until,
};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Values in Redis, in a Redis Cluster, in PostgreSQL, in a directory.
fn on_each_store(test: impl Fn(&Setup)) {
    let servers = Servers::start();
    test(&servers.setup());
    let cluster = RedisCluster::start();
    test(&Setup {
        redis: Some(cluster.url()),
        ..servers.setup()
    });
    test(&Setup::on_postgres(servers.postgres.url()));
    let directory = TempDir::new().unwrap();
    test(&Setup::in_directory(directory.path()));
}

fn tagged(key: &str, tags: &[&str], body: Duration) -> Run {
    Run::of(key, body).options(Options::tags(tags))
}

/// One call of each in each process. Returns how many bodies each of them needed.
fn call_all(mesh: &mut Mesh, runs: &[Run]) -> Vec<usize> {
    runs.iter().map(|run| mesh.bodies_of(run)).collect()
}

#[test]
fn one_of_several_tags_or_all_of_them() {
    on_each_store(|setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        let runs = [
            tagged("both", &["user:7", "reports"], ms(1)),
            tagged("user", &["user:7"], ms(1)),
            tagged("other user", &["user:8", "reports"], ms(1)),
            tagged("no tag", &[], ms(1)),
        ];
        assert_eq!(call_all(&mut mesh, &runs), [1, 1, 1, 1]);
        assert_eq!(call_all(&mut mesh, &runs), [0, 0, 0, 0]);
        for (tags, bodies) in [
            (&["user:7"][..], [1, 1, 0, 0]),
            (&["reports"], [1, 0, 1, 0]),
            (&["reports", "user:7", "user:8"], [1, 1, 1, 0]),
            (&["user"], [0, 0, 0, 0]),
        ] {
            for tag in tags {
                assert_eq!(mesh.workers[1].invalidate_tag(tag), None);
            }
            assert_eq!(call_all(&mut mesh, &runs), bodies, "{tags:?}");
        }
    });
}

#[test]
fn what_was_begun_before_its_tags_invalidation_is_given_to_nobody_who_comes_later() {
    on_each_store(|setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        let run = tagged("begun", &["one", "two"], ms(1_200)).callers(Callers::Mixed(2));
        mesh.run(&run);
        mesh.wait_for_leader("begun");
        assert_eq!(mesh.workers[1].invalidate_tag("two"), None);
        // Beside the computation and after it, in its process and in the other.
        mesh.run(&run);
        mesh.wait_for_bodies("begun", 1);
        mesh.run(&run);
        let timeline = mesh.wait_for_answers("begun", 3 * 4);
        assert_nothing_older(&mesh, &run);
        assert_served(&timeline, 12, 2);
        assert_eq!(call_all(&mut mesh, &[run]), [0], "the new one is stored");
    });
}

/// Its key's one invalidation binds who came later.
#[track_caller]
fn assert_nothing_older(mesh: &Mesh, run: &Run) {
    let timeline = mesh.timeline();
    let invalidations = timeline.invalidations(&run.key, &run.options.tags);
    assert_eq!(invalidations.len(), 1);
    let older = timeline
        .key(&run.key)
        .older_than(&invalidations, |_| Duration::ZERO);
    assert!(older.is_empty(), "{older:?}");
}

#[track_caller]
fn assert_served(timeline: &Timeline, calls: usize, bodies: usize) {
    assert!(timeline.errors().is_empty(), "{:?}", timeline.errors());
    assert_eq!((timeline.served(), timeline.executions()), (calls, bodies));
}

/// A value of the first process, past its time to live.
fn with_old_value(mesh: &mut Mesh, run: &Run) -> String {
    mesh.workers[0].run(run);
    let timeline = mesh.wait_for_answers(&run.key, 1);
    thread::sleep(run.ttl + ms(20));
    timeline.last_value().unwrap()
}

fn aging(key: &str, options: Options) -> Run {
    Run::of(key, ms(1)).ttl(ms(200)).options(Options {
        tags: vec!["aging".to_owned()],
        ..options
    })
}

#[test]
fn old_value_is_not_served_while_a_new_one_is_computed() {
    on_each_store(|setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        let options = Options {
            stale_while_revalidate: Some(LIMIT),
            detach: true,
            ..Options::default()
        };
        let run = aging("revalidated", options);
        let old = with_old_value(&mut mesh, &run);
        assert_eq!(mesh.workers[1].invalidate_tag("aging"), None);
        let slow = Run {
            body: ms(500),
            ..run
        };
        mesh.run(&slow.callers(Callers::Mixed(2)));
        let timeline = mesh.wait_for_answers("revalidated", 1 + 4);
        assert_served(&timeline, 5, 2);
        let later = timeline.calls().split_off(1);
        assert!(later.iter().all(|call| call.answer != Ok(old.clone())));
    });
}

#[test]
fn old_value_does_not_stand_in_for_an_error() {
    on_each_store(|setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        let options = Options {
            stale_if_error: Some(LIMIT),
            ..Options::default()
        };
        let run = aging("failing", options);
        let old = with_old_value(&mut mesh, &run);
        let failing = run.end(End::Fail);
        mesh.workers[1].run(&failing);
        let timeline = mesh.wait_for_answers("failing", 2);
        assert_eq!(timeline.answers(), [Ok(old.clone()), Ok(old)]);

        assert_eq!(mesh.workers[0].invalidate_tag("aging"), None);
        let began = now_us();
        mesh.run(&failing);
        let timeline = mesh.wait_for_answers("failing", 4).since(began);
        let answers = timeline.answers();
        assert!(answers.iter().all(Result::is_err), "{answers:?}");
    });
}

#[test]
fn stored_error_goes_with_its_tag() {
    on_each_store(|setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        let options = Options {
            cache_err: Some(LIMIT),
            tags: vec!["upstream".to_owned()],
            ..Options::default()
        };
        let failing = Run::of("error", ms(1)).options(options).end(End::Fail);
        let runs = [failing];
        assert_eq!(call_all(&mut mesh, &runs), [1]);
        assert_eq!(mesh.timeline().errors().len(), 1);
        assert_eq!(mesh.workers[1].invalidate_tag("upstream"), None);
        assert_eq!(call_all(&mut mesh, &runs), [1]);
        assert_eq!(mesh.timeline().errors().len(), 2);
    });
}

#[test]
fn refresh_in_the_background_that_its_tag_overtakes_is_not_kept() {
    on_each_store(|setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        let options = Options {
            stale_while_revalidate: Some(LIMIT),
            detach: true,
            ..Options::default()
        };
        let run = aging("overtaken", options);
        with_old_value(&mut mesh, &run);
        let slow = Run {
            body: ms(1_200),
            ttl: LIMIT,
            ..run
        };
        mesh.workers[0].run(&slow);
        wait_until(LIMIT, "it is refreshed", || {
            mesh.timeline().executions() == 2
        });
        assert_eq!(mesh.workers[1].invalidate_tag("aging"), None);
        mesh.run(&slow);
        mesh.wait_for_bodies("overtaken", 2);
        mesh.run(&slow);
        let timeline = mesh.wait_for_answers("overtaken", 2 + 4);
        assert_nothing_older(&mesh, &slow);
        assert_eq!(timeline.executions(), 3);
    });
}
