//! Detached calls whose caller, or whose task, is dropped at every await point there is.
//!
//! The tasks are driven step by step, as the callers are: what spawns them only puts them into a list.

#![expect(clippy::unwrap_used, reason = "a test")]

mod gates;

use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use worksharing::lock::{Caller, Local, Lock as _};
use worksharing::{BoxFuture, Key, WorkSharing};

use self::gates::{GatedLock, GatedStore, MANY, careful_step, gate, run, step};

const KEY: &str = "key";

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Value,
    Error,
    Panic,
}

const ENDS: [End; 3] = [End::Value, End::Error, End::Panic];

/// Counts the bodies that began, and those that run.
#[derive(Default)]
struct Bodies {
    begun: AtomicUsize,
    running: AtomicUsize,
}

struct Running(Arc<Bodies>);

impl Running {
    fn new(bodies: &Arc<Bodies>) -> Self {
        bodies.begun.fetch_add(1, SeqCst);
        assert_eq!(bodies.running.fetch_add(1, SeqCst), 0, "two bodies at once");
        Self(Arc::clone(bodies))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

type Tasks = Arc<Mutex<Vec<BoxFuture<'static, ()>>>>;
type Answer = Result<u32, &'static str>;

/// A process, and what its executor has to do.
struct Process {
    sharing: WorkSharing,
    tasks: Tasks,
}

struct World {
    store: GatedStore,
    lock: GatedLock,
    bodies: Arc<Bodies>,
}

impl World {
    fn new() -> Self {
        Self {
            store: GatedStore(Arc::default()),
            lock: GatedLock(Arc::new(Local::new())),
            bodies: Arc::default(),
        }
    }

    fn process(&self) -> Process {
        let tasks = Tasks::default();
        let spawned = Arc::clone(&tasks);
        let sharing = WorkSharing::builder()
            .store(self.store.clone())
            .lock(self.lock.clone())
            .spawner(move |task| spawned.lock().unwrap().push(task))
            .build()
            .unwrap();
        Process { sharing, tasks }
    }

    fn call(&self, process: &Process, end: End) -> Pin<Box<dyn Future<Output = Answer>>> {
        let (work, bodies) = (process.sharing.work(KEY).detach(), Arc::clone(&self.bodies));
        Box::pin(work.try_run(move || async move {
            let _running = Running::new(&bodies);
            for _ in 0..6 {
                gate().await;
            }
            match end {
                End::Value => Ok(1),
                End::Error => Err("the body failed"),
                // Not `panic!`: nobody wants to read of it.
                End::Panic => resume_unwind(Box::new("the body panicked")),
            }
        }))
    }

    fn begun(&self) -> usize {
        self.bodies.begun.load(SeqCst)
    }

    fn assert_clean(&self, processes: &[&Process], case: &str) {
        let free = run(self.lock.try_lock(&Key::new(KEY), Caller::Outermost)).unwrap();
        assert!(free.is_some(), "{case}: the lock is held for ever");
        drop(free);
        assert_eq!(self.bodies.running.load(SeqCst), 0, "{case}");
        for process in processes {
            let mut next = Some(self.call(process, End::Value));
            let served = finish(&mut [&mut next], &[process]);
            assert_eq!(served, [Some(Some(Ok(1)))], "{case}");
            assert_eq!(
                run(process.sharing.drain(Duration::ZERO)).ok(),
                Some(()),
                "{case}"
            );
        }
    }
}

impl Process {
    fn has_tasks(&self) -> bool {
        !self.tasks.lock().unwrap().is_empty()
    }

    /// One step of each task.
    fn step(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        tasks.retain_mut(|task| step(&mut task.as_mut()).is_pending());
        self.tasks.lock().unwrap().extend(tasks);
    }
}

type Call = Pin<Box<dyn Future<Output = Answer>>>;
/// Of a caller: nothing yet; or a panic, or what it returned.
type Served = Option<Option<Answer>>;

fn step_caller(caller: &mut Option<Call>, served: &mut Served) {
    if let Some(pending) = caller
        && let Poll::Ready(answer) = careful_step(&mut pending.as_mut())
    {
        *served = Some(answer);
        *caller = None;
    }
}

/// Drives all callers and tasks to their end.
fn finish(callers: &mut [&mut Option<Call>], processes: &[&Process]) -> Vec<Served> {
    let mut served = vec![None; callers.len()];
    for _ in 0..2 * MANY {
        for (caller, served) in callers.iter_mut().zip(&mut served) {
            step_caller(caller, served);
        }
        processes.iter().for_each(|process| process.step());
    }
    assert!(
        callers.iter().all(|caller| caller.is_none()),
        "a caller is stuck"
    );
    assert!(
        !processes.iter().any(|process| process.has_tasks()),
        "a task is stuck"
    );
    served
}

/// Which part of the first call is dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dropped {
    Caller,
    Task,
    Both,
}

/// What became of a call of which a part is dropped after so many steps, beside a second one that begins a step later.
struct Case {
    dropped_in_time: bool,
    was_detached: bool,
    first: Served,
    second: Served,
    begun: usize,
}

fn drop_after(steps: usize, dropped: Dropped, end: End, processes: usize) -> Case {
    let case = format!("{processes} process(es), {end:?}, {dropped:?} dropped after {steps} steps");
    let world = World::new();
    let (a, b) = (world.process(), world.process());
    let of_second = if processes == 1 { &a } else { &b };
    let mut first = Some(world.call(&a, end));
    let mut second = None;
    let (mut first_served, mut second_served) = (None, None);
    let mut was_detached = false;
    for _ in 0..steps {
        step_caller(&mut first, &mut first_served);
        // Before anything else can be spawned there.
        was_detached |= second.is_none() && a.has_tasks();
        second.get_or_insert_with(|| Some(world.call(of_second, End::Value)));
        step_caller(second.as_mut().unwrap(), &mut second_served);
        was_detached |= processes == 2 && a.has_tasks();
        a.step();
        b.step();
    }
    let dropped_in_time = match dropped {
        Dropped::Caller => first.take().is_some(),
        Dropped::Task => {
            let tasks = std::mem::take(&mut *a.tasks.lock().unwrap());
            !tasks.is_empty() && first.is_some()
        }
        Dropped::Both => {
            let tasks = std::mem::take(&mut *a.tasks.lock().unwrap());
            first.take().is_some() || !tasks.is_empty()
        }
    };
    let mut second = second.unwrap_or_else(|| Some(world.call(of_second, End::Value)));
    let rest = finish(&mut [&mut first, &mut second], &[&a, &b]);
    let begun = world.begun();
    world.assert_clean(&[&a, of_second], &case);
    Case {
        dropped_in_time,
        was_detached,
        first: first_served.or_else(|| rest[0]),
        second: second_served.or_else(|| rest[1]),
        begun,
    }
}

/// At every step until it comes too late. Returns how often it came in time.
fn at_every_step(dropped: Dropped, judge: impl Fn(&Case, End, &str)) {
    for processes in [1, 2] {
        for end in ENDS {
            let mut in_time = 0;
            for steps in 0..MANY / 2 {
                let case = drop_after(steps, dropped, end, processes);
                let name = format!("{processes}, {end:?}, {steps} steps");
                judge(&case, end, &name);
                in_time += usize::from(case.dropped_in_time);
            }
            assert!(in_time >= 8, "{processes}, {end:?}: {in_time} steps");
            assert!(in_time < MANY / 2, "{processes}, {end:?}: it never ends");
        }
    }
}

/// The task goes on, and what it computes is stored, for the others.
#[test]
fn caller_dropped_anywhere() {
    at_every_step(Dropped::Caller, |case, end, name| {
        assert_eq!(case.second, Some(Some(Ok(1))), "{name}");
        let expected = if case.was_detached && end != End::Value {
            2
        } else {
            1
        };
        assert!(
            case.begun == expected || !case.was_detached,
            "{name}: {}",
            case.begun
        );
        if !case.dropped_in_time {
            assert_eq!(case.first, Some(answer(end)), "{name}");
        }
    });
}

/// Its caller is given the work back, and goes on with it from where it was.
#[test]
fn task_dropped_anywhere() {
    at_every_step(Dropped::Task, |case, end, name| {
        assert_eq!(case.first, Some(answer(end)), "{name}");
        assert_eq!(case.second, Some(Some(Ok(1))), "{name}");
        let expected = if end == End::Value { 1 } else { 2 };
        assert_eq!(case.begun, expected, "{name}");
    });
}

/// Nothing is left behind.
#[test]
fn caller_and_task_dropped_anywhere() {
    at_every_step(Dropped::Both, |case, _, name| {
        assert_eq!(case.second, Some(Some(Ok(1))), "{name}");
        assert!((1..=2).contains(&case.begun), "{name}: {}", case.begun);
    });
}

/// `None` stands for a panic.
fn answer(end: End) -> Option<Answer> {
    match end {
        End::Value => Some(Ok(1)),
        End::Error => Some(Err("the body failed")),
        End::Panic => None,
    }
}
