//! Futures that are dropped at every await point there is: leader and waiter, in one process and in two, for
//! every way in which the leader's body may end.

#![expect(clippy::unwrap_used, reason = "a test")]

mod gates;

use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use worksharing::lock::{Caller, Local, Lock as _};
use worksharing::store::{Fence, Look, Store, Stored};
use worksharing::{BoxFuture, Bytes, Error, ErrorKind, Key, WorkSharing};

use self::gates::{GatedLock, GatedStore, MANY, careful_step, gate, gated, run, step};

/// One or two processes, as far as the runtime can tell.
struct World {
    store: GatedStore,
    lock: GatedLock,
    /// How many bodies began, and how many ran at the same time at most.
    begun: Cell<usize>,
    running: Cell<usize>,
}

/// How the first caller's body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Value,
    Error,
    Panic,
}

const ENDS: [End; 3] = [End::Value, End::Error, End::Panic];
const KEY: &str = "key";

impl World {
    fn new() -> Self {
        Self {
            store: GatedStore(Arc::default()),
            lock: GatedLock(Arc::new(Local::new())),
            begun: Cell::new(0),
            running: Cell::new(0),
        }
    }

    fn process(&self) -> WorkSharing {
        WorkSharing::builder()
            .store(self.store.clone())
            .lock(self.lock.clone())
            .build()
            .unwrap()
    }

    async fn body(&self, end: End) -> Result<u32, &'static str> {
        let _running = Running::new(self);
        // Long enough for the other caller to have come to rest.
        for _ in 0..12 {
            gate().await;
        }
        match end {
            End::Value => Ok(1),
            End::Error => Err("the body failed"),
            // Not `panic!`: nobody wants to read of it.
            End::Panic => resume_unwind(Box::new("the body panicked")),
        }
    }

    async fn call(&self, process: &WorkSharing, end: End) -> Result<u32, &'static str> {
        process
            .work(KEY)
            .try_run(async || self.body(end).await)
            .await
    }

    /// Nothing is held and nothing is under way: the key's lock is free, and a new caller in every process is
    /// served.
    fn assert_clean(&self, processes: &[&WorkSharing], case: &str) {
        let free = run(self.lock.try_lock(&Key::new(KEY), Caller::Outermost)).unwrap();
        assert!(free.is_some(), "{case}: the lock is held for ever");
        drop(free);
        for process in processes {
            let served = run(self.call(process, End::Value));
            assert_eq!(served, Ok(1), "{case}");
        }
        assert_eq!(self.running.get(), 0, "{case}");
    }
}

struct Running<'a>(&'a World);

impl<'a> Running<'a> {
    fn new(world: &'a World) -> Self {
        world.begun.set(world.begun.get() + 1);
        world.running.set(world.running.get() + 1);
        assert_eq!(world.running.get(), 1, "two bodies run at once");
        Self(world)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
    }
}

/// Which of two futures is dropped, after how many steps of both.
#[derive(Clone, Copy, Debug)]
enum Dropped {
    First(usize),
    Second(usize),
}

/// Two callers, the second a step behind the first, driven in turn; one is dropped on the way.
fn drop_one(processes: usize, end: End, dropped: Dropped) -> bool {
    let case = format!("{processes} process(es), {end:?}, {dropped:?}");
    let world = World::new();
    let (a, b) = (world.process(), world.process());
    let second_process = if processes == 1 { &a } else { &b };
    let mut was_dropped = false;
    {
        let mut first = Some(Box::pin(world.call(&a, end)));
        let mut second = Some(Box::pin(world.call(second_process, End::Value)));
        for n in 0..MANY {
            for (future, is_dropped) in [
                (&mut first, matches!(dropped, Dropped::First(at) if at == n)),
                (
                    &mut second,
                    matches!(dropped, Dropped::Second(at) if at == n),
                ),
            ] {
                if is_dropped {
                    was_dropped |= future.take().is_some();
                }
                let Some(pending) = future else { continue };
                if let Poll::Ready(served) = careful_step(&mut pending.as_mut()) {
                    assert!(served.is_none() || served != Some(Err("")), "{case}");
                    *future = None;
                }
            }
        }
        assert!(
            first.is_none() && second.is_none(),
            "{case}: a caller is stuck"
        );
    }
    if end == End::Value && !was_dropped {
        assert_eq!(world.begun.get(), 1, "{case}");
    }
    // The first's body, and at most one successor.
    assert!(
        world.begun.get() <= 2,
        "{case}: {} bodies began",
        world.begun.get()
    );
    world.assert_clean(&[&a, second_process], &case);
    was_dropped
}

fn every_drop(processes: usize, dropped: fn(usize) -> Dropped) {
    for end in ENDS {
        let steps = (0..MANY)
            .take_while(|n| drop_one(processes, end, dropped(*n)))
            .count();
        assert!(steps > 16, "{end:?}: only {steps} steps were interrupted");
    }
}

#[test]
fn leader_dropped_anywhere_with_a_follower_in_its_process() {
    every_drop(1, Dropped::First);
}

#[test]
fn follower_dropped_anywhere_in_its_leaders_process() {
    every_drop(1, Dropped::Second);
}

#[test]
fn leader_dropped_anywhere_with_a_waiter_in_another_process() {
    every_drop(2, Dropped::First);
}

#[test]
fn waiter_dropped_anywhere_in_another_process() {
    every_drop(2, Dropped::Second);
}

#[test]
fn nobody_is_dropped() {
    for processes in [1, 2] {
        for end in ENDS {
            assert!(!drop_one(processes, end, Dropped::First(MANY)));
        }
    }
}

/// When all callers go, nothing is left behind.
#[test]
fn all_dropped_anywhere() {
    for n in 0..60 {
        let world = World::new();
        let (a, b) = (world.process(), world.process());
        {
            let callers = [&a, &a, &b].map(|process| Box::pin(world.call(process, End::Value)));
            let mut callers = callers.map(Some);
            for _ in 0..n {
                for caller in &mut callers {
                    if let Some(pending) = caller
                        && step(&mut pending.as_mut()).is_ready()
                    {
                        *caller = None;
                    }
                }
            }
        }
        world.assert_clean(&[&a, &b], &format!("dropped after {n} steps"));
    }
}

/// Neither gives nor takes.
#[derive(Debug)]
struct DeadStore;

impl DeadStore {
    fn fail<'a, T: Send + 'a>(&self) -> BoxFuture<'a, Result<T, Error>> {
        Box::pin(gated(async {
            Err(Error::new(ErrorKind::Unavailable, "the store is dead"))
        }))
    }
}

impl Store for DeadStore {
    fn get<'a>(
        &'a self,
        _: &'a [Key],
        _: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        self.fail()
    }

    fn put<'a>(
        &'a self,
        _: &'a Key,
        _: Bytes,
        _: Duration,
        _: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        self.fail()
    }

    fn replace<'a>(
        &'a self,
        _: &'a Key,
        _: Bytes,
        _: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.fail()
    }
}

/// The leader's value reaches its followers although no store keeps it, even if the leader is dropped while
/// it tries to store it.
#[test]
fn landed_value_needs_no_store() {
    for steps in (0..60).chain([MANY]) {
        let world = World::new();
        let sharing = WorkSharing::builder()
            .store(DeadStore)
            .lock(world.lock.clone())
            .build()
            .unwrap();
        let mut leader = Some(Box::pin(world.call(&sharing, End::Value)));
        let mut follower = Box::pin(world.call(&sharing, End::Value));
        let mut served = None;
        for _ in 0..steps {
            if let Some(pending) = &mut leader
                && step(&mut pending.as_mut()).is_ready()
            {
                leader = None;
            }
            if let Poll::Ready(value) = step(&mut follower.as_mut()) {
                served = Some(value);
                break;
            }
        }
        let body_had_ended = world.begun.get() == 1 && world.running.get() == 0;
        drop(leader);
        if world.begun.get() == 0 || !body_had_ended {
            continue;
        }
        assert_eq!(
            served.unwrap_or_else(|| run(follower)),
            Ok(1),
            "dropped after {steps} steps"
        );
        assert_eq!(world.begun.get(), 1, "dropped after {steps} steps");
    }
}
