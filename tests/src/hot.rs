use crate::{Callers, End, Mesh, Run, Timeline, WorkerStats, now_us};

/// Callers of a hot key in every process, after it has been computed once for another one.
#[derive(Debug)]
pub struct Hot {
    mesh: Mesh,
    key: &'static str,
    /// When the callers began.
    pub began: u64,
    before: WorkerStats,
}

impl Hot {
    /// Has it computed, and starts the callers.
    pub fn start(mut mesh: Mesh, run: &Run, key: &'static str) -> Self {
        let first = Run {
            callers: Callers::Threads(1),
            calls: 1,
            end: End::Return,
            ..run.clone()
        };
        mesh.workers[0].run(&first);
        mesh.wait_for_answers(key, 1);
        let (began, before) = (now_us(), mesh.stats());
        mesh.run(run);
        Self {
            mesh,
            key,
            began,
            before,
        }
    }

    /// What happened from the beginning on, and what was counted, when all calls are answered and bodies have ended.
    pub fn end(mut self, run: &Run) -> (Timeline, WorkerStats) {
        let calls = self.mesh.workers.len() * run.callers.count() * run.calls;
        let timeline = self
            .mesh
            .wait_for_answers(self.key, 1 + calls)
            .since(self.began);
        let bodies = self.mesh.timeline().key(self.key).executions();
        self.mesh.wait_for_bodies(self.key, bodies);
        (timeline, self.mesh.stats() - self.before)
    }
}

/// The calls of each process go on from value to newer value.
///
/// # Panics
/// They do not, or a caller got an error.
#[track_caller]
pub fn assert_nobody_goes_back(timeline: &Timeline) {
    let back = timeline.calls_that_went_back();
    assert!(back.is_empty(), "{} of them: {:?}", back.len(), back[0]);
    assert!(timeline.errors().is_empty(), "{:?}", timeline.errors());
}
