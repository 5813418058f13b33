//! Values that are served past their time, over processes. Cases 42, 43 and 45.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use tests::{
    Callers, End, Hot, Mesh, Options, Run, Timeline, WorkerStats, assert_nobody_goes_back, now_us,
    on_each_setup, wait_until,
};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);
const PROCESSES: usize = 3;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

// ---- Case 42.

const FRESH: Duration = Duration::from_millis(500);
const BODY: Duration = Duration::from_millis(300);

/// Over ten times of freshness and refresh.
fn hot(key: &str, detach: bool) -> Run {
    let options = Options {
        stale_while_revalidate: Some(ms(20_000)),
        detach,
        ..Options::default()
    };
    Run::of(key, BODY)
        .callers(Callers::Mixed(4))
        .ttl(FRESH)
        .options(options)
        .calls(850, ms(10))
}

#[test]
fn nobody_waits_for_a_refresh_in_the_background() {
    on_each_setup(|setup| {
        let run = hot("background", true);
        let hot = Hot::start(Mesh::start(PROCESSES, WORKER, setup), &run, "background");
        let (timeline, stats) = hot.end(&run);
        assert_refreshed(&timeline, stats);
        // A machine that stands still for as long as the body makes one of them look as if it had waited.
        let waited = timeline.calls_that_computed();
        assert!(waited.len() <= 1, "{waited:?}");
        assert_eq!(stats.waited, 0);
    });
}

#[test]
fn without_detach_one_caller_waits_for_each_refresh() {
    on_each_setup(|setup| {
        let run = hot("inline", false);
        let hot = Hot::start(Mesh::start(PROCESSES, WORKER, setup), &run, "inline");
        let (timeline, stats) = hot.end(&run);
        assert_refreshed(&timeline, stats);
        assert_eq!(timeline.calls_that_computed().len(), timeline.executions());
        assert_eq!(stats.waited, 0);
    });
}

fn assert_refreshed(timeline: &Timeline, stats: WorkerStats) {
    let (bodies, times) = (timeline.executions(), timeline.times());
    let at = |part: usize| times[times.len() * part / 1_000];
    eprintln!(
        "{} calls, {bodies} bodies, {} stale hits; half of the calls took {:?}, 99.9 % {:?}, the longest {:?}",
        times.len(),
        stats.stale,
        at(500),
        at(999),
        times[times.len() - 1],
    );
    // One for each value that has run out, and perhaps one at either end.
    let (first, last) = (
        timeline.begins()[0].at_us,
        timeline.ends().pop().unwrap().at_us,
    );
    let most = 2 + (last - first) / FRESH.as_micros() as u64;
    assert!(bodies >= 8 && bodies as u64 <= most, "{bodies} bodies");
    assert_eq!(timeline.max_overlap(), 1, "two bodies at once");
    assert!(at(900) < ms(50), "{:?}", at(900));
    assert!(stats.stale > 0 && stats.stored >= 8, "{stats:?}");
    assert_eq!((stats.refused, stats.degraded), (0, 0));
    assert_nobody_goes_back(timeline);
}

// ---- Case 43.

#[test]
fn upstream_that_is_down_is_asked_seldom_and_nobody_is_hurt() {
    on_each_setup(|setup| {
        let mesh = Mesh::start(PROCESSES, WORKER, setup);
        let (from, until) = (now_us(), now_us() + 7_000_000);
        let options = Options {
            stale_if_error: Some(ms(60_000)),
            ..Options::default()
        };
        // It is down from its second body on, and up again before the callers go.
        let run = Run::of("down", ms(20))
            .callers(Callers::Mixed(4))
            .ttl(ms(300))
            .options(options)
            .end(End::Down(from, until))
            .calls(1_300, ms(10));
        let (timeline, stats) = Hot::start(mesh, &run, "down").end(&run);
        assert_nobody_goes_back(&timeline);
        let failed = failures(&timeline);
        eprintln!(
            "attempts while it was down, in seconds: {failed:?}; {} stale",
            stats.stale
        );
        for attempts in failed.values() {
            // At 0, 1, 3 and 7 s from the first.
            assert!((1..=4).contains(&attempts.len()), "{failed:?}");
            let gaps = attempts.windows(2).map(|pair| pair[1] - pair[0]);
            assert!(
                gaps.zip([1.0, 2.0, 4.0]).all(|(gap, least)| gap >= least),
                "{failed:?}"
            );
        }
        assert!(
            failed.values().map(Vec::len).sum::<usize>() >= 3,
            "{failed:?}"
        );
        // The first of the processes tries again 4 s after its last attempt at the latest.
        let back = timeline
            .bodies()
            .into_iter()
            .find_map(|body| match body.end {
                Some((at, Ok(_))) => Some(Duration::from_micros(at.saturating_sub(until))),
                _ => None,
            });
        assert!(back.is_some_and(|back| back < ms(6_000)), "{back:?}");
    });
}

/// When the bodies of each process failed.
fn failures(timeline: &Timeline) -> BTreeMap<u32, Vec<f64>> {
    let mut failures = BTreeMap::<u32, Vec<f64>>::new();
    for body in timeline.bodies() {
        if let Some((at, Err(_))) = body.end {
            let of_process = failures.entry(body.begun.pid).or_default();
            of_process.push(at as f64 / 1_000_000.0);
        }
    }
    failures
}

// ---- Case 45.

fn stale(key: &str, ttl: Duration, stale_for: Duration) -> Run {
    let options = Options {
        stale_while_revalidate: Some(stale_for),
        detach: true,
        ..Options::default()
    };
    Run::of(key, ms(1_200)).ttl(ttl).options(options)
}

/// A value of the first process, in its stale phase.
fn with_stale_value(mesh: &mut Mesh, run: &Run) -> String {
    let quick = Run {
        body: ms(1),
        ..run.clone()
    };
    mesh.workers[0].run(&quick);
    let timeline = mesh.wait_for_answers(&run.key, 1);
    thread::sleep(run.ttl + ms(20));
    timeline.last_value().unwrap()
}

#[test]
fn invalidation_wins_over_a_refresh_in_the_background() {
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        let run = stale("invalidated", ms(300), ms(60_000));
        let old = with_stale_value(&mut mesh, &run);
        mesh.workers[0].run(&run);
        let timeline = mesh.wait_for_answers("invalidated", 2);
        assert_eq!(timeline.values().into_iter().collect::<Vec<_>>(), [old]);
        wait_until(LIMIT, "it is refreshed", || {
            mesh.timeline().executions() == 2
        });
        assert_eq!(mesh.workers[1].invalidate("invalidated"), None);
        // Beside the refresh and after it, here and there.
        mesh.run(&run.clone().callers(Callers::Mixed(2)));
        mesh.wait_for_bodies("invalidated", 2);
        mesh.run(&run.callers(Callers::Mixed(2)));
        let timeline = mesh.wait_for_answers("invalidated", 2 + 8);
        let invalidations = timeline.invalidations("invalidated", &[]);
        assert_eq!(invalidations.len(), 1);
        let older = timeline.older_than(&invalidations, |_| Duration::ZERO);
        assert!(older.is_empty(), "{older:?}");
        assert_eq!(mesh.stats().refused, 1, "the refresh");
        // What was computed then is fresh for less than that takes, so that it is refreshed, too.
        assert!((3..=5).contains(&timeline.executions()));
    });
}

#[test]
fn refresh_that_fails_leaves_the_stale_value() {
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        let run = stale("fails", ms(300), ms(60_000));
        let old = with_stale_value(&mut mesh, &run);
        let failing = Run {
            body: ms(100),
            ..run.end(End::Fail)
        };
        mesh.run(&failing);
        mesh.wait_for_bodies("fails", 2);
        mesh.run(&failing);
        let timeline = mesh.wait_for_answers("fails", 5);
        assert_eq!(timeline.values().into_iter().collect::<Vec<_>>(), [old]);
        assert!(timeline.errors().is_empty(), "{:?}", timeline.errors());
    });
}

#[test]
fn refresh_is_waited_for_where_nothing_stale_is_left() {
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        let (ttl, stale_for) = (ms(1_000), ms(1_000));
        let run = Run {
            body: ms(4_000),
            ..stale("too old", ttl, stale_for)
        };
        let old = with_stale_value(&mut mesh, &run);
        mesh.workers[0].run(&run);
        let timeline = mesh.wait_for_answers("too old", 2);
        assert_eq!(timeline.values().into_iter().collect::<Vec<_>>(), [old]);
        wait_until(LIMIT, "it is refreshed", || {
            mesh.timeline().executions() == 2
        });
        thread::sleep(stale_for + ms(100));
        let later = now_us();
        mesh.run(&run.callers(Callers::Mixed(4)));
        let timeline = mesh.wait_for_answers("too old", 2 + 8);
        assert_eq!(timeline.executions(), 2, "they begin no other");
        let served = timeline.since(later).values();
        let new = timeline.last_value().unwrap();
        assert_eq!(served.into_iter().collect::<Vec<_>>(), [new]);
    });
}
