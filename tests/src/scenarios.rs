//! What must hold on every backend that several processes can share.

use std::thread;
use std::time::Duration;

use crate::plan::{Callers, End, Run, Setup};
use crate::{Mesh, Timeline, now_us, wait_until};

/// One caller in each of so many processes, one cold key: computed once, and everybody is served `within`
/// this time after the body's end.
pub fn cold_key(program: &str, setup: &Setup, processes: usize, body: Duration, within: Duration) {
    let mut mesh = Mesh::start(processes, program, setup);
    let timeline = mesh.run_all(&Run::of("cold", body));
    assert_computed_once(&timeline, processes);
    let last = timeline.last_served_after_body();
    eprintln!("the last of {processes} processes was served {last:?} after the body");
    assert!(last <= within, "{last:?}");
    // And what was computed is kept.
    let again = now_us();
    mesh.run(&Run::of("cold", body));
    let timeline = mesh.wait(2).since(again);
    assert_eq!((timeline.executions(), timeline.served()), (0, processes));
}

/// One execution, one value, everybody served with it.
///
/// # Panics
/// If not.
#[track_caller]
pub fn assert_computed_once(timeline: &Timeline, callers: usize) {
    assert_eq!(timeline.executions(), 1, "executions");
    assert_eq!(timeline.answers().len(), callers, "answers");
    assert!(timeline.errors().is_empty(), "{:?}", timeline.errors());
    assert_eq!(timeline.values().len(), 1, "values");
}

/// Everybody was served with a value, whoever computed it.
///
/// # Panics
/// If not.
#[track_caller]
pub fn assert_all_served(timeline: &Timeline, callers: usize) {
    assert_eq!(timeline.answers().len(), callers, "answers");
    assert!(timeline.errors().is_empty(), "{:?}", timeline.errors());
}

/// The body fails in every one of so many processes: one after the other, each with an error of its own,
/// and no time lost between one and the next but `handover`.
pub fn failures(program: &str, setup: &Setup, processes: usize, end: End, handover: Duration) {
    let body = Duration::from_millis(500);
    let mut mesh = Mesh::start(processes, program, setup);
    let timeline = mesh.run_all(&Run::of("failing", body).end(end));
    assert_eq!(timeline.executions(), processes);
    assert_eq!(timeline.max_overlap(), 1, "two at once");
    assert_eq!(
        timeline.errors().len(),
        processes,
        "each its own: {:?}",
        timeline.errors()
    );
    let gaps = gaps(&timeline);
    eprintln!("from one failure to the next body: {gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= handover), "{gaps:?}");
}

/// From each body's end to the next one's begin.
fn gaps(timeline: &Timeline) -> Vec<Duration> {
    let (begins, ends) = (timeline.begins(), timeline.ends());
    let pairs = ends.iter().zip(&begins[1..]);
    pairs
        .map(|(end, begin)| Duration::from_micros(begin.at_us.saturating_sub(end.at_us)))
        .collect()
}

/// The leader's process is killed in the middle of its body: one other takes over, within this time.
pub fn killed_leader(program: &str, setup: &Setup, processes: usize, takeover: Duration) {
    let mut mesh = Mesh::start(processes, program, setup);
    mesh.run(&Run::of("killed", Duration::from_secs(3)));
    let leader = mesh.wait_for_leader("killed");
    thread::sleep(Duration::from_secs(1));
    let killed = now_us();
    mesh.workers[leader].kill9();
    let dead = mesh.workers.remove(leader);
    wait_until(takeover * 4, "another takes over", || {
        mesh.timeline().executions() == 1
    });
    let took = Duration::from_micros(mesh.timeline().begins()[0].at_us - killed);
    eprintln!("taken over {took:?} after the kill");
    assert!(took <= takeover, "{took:?}");
    assert_computed_once(&mesh.wait(1), processes - 1);
    assert_eq!(Timeline::of([&dead]).executions(), 1);
}

/// Threads and tasks in several processes, one key: computed once.
pub fn crowd(program: &str, setup: &Setup, processes: usize, callers: usize) {
    let mut mesh = Mesh::start(processes, program, setup);
    let run = Run::of("crowd", Duration::from_millis(800)).callers(Callers::Mixed(callers));
    assert_computed_once(&mesh.run_all(&run), processes * callers);
}

/// After trouble: every runtime works again without a restart of its process, and a new key is computed
/// once. Waits until the servers are back in use.
pub fn healed(mesh: &mut Mesh, key: &str) {
    for worker in &mut mesh.workers {
        let mut trouble = None;
        wait_until(
            Duration::from_secs(30),
            "the runtime is whole again",
            || {
                trouble = worker.check();
                trouble.is_none()
            },
        );
    }
    let before = now_us();
    mesh.run(&Run::of(key, Duration::from_millis(700)));
    let processes = mesh.workers.len();
    wait_until(Duration::from_secs(30), "everybody is served", || {
        mesh.timeline().key(key).since(before).served() >= processes
    });
    assert_computed_once(&mesh.timeline().key(key), processes);
}
