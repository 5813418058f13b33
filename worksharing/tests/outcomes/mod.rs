//! Calls of each outcome, for whoever watches them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use worksharing::store::{Fence, Look, Store, Stored};
use worksharing::{BoxFuture, Bytes, Error, ErrorKind, Key, ManyWork, Work, WorkSharing};

/// Runs something where it is watched.
pub(crate) type Watched<'a> = &'a (dyn Fn(&mut dyn FnMut()) + Sync);

/// Some calls of one function, and how they end: in the order of the labels.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) outcomes: &'static [&'static str],
    pub(crate) run: fn(&WorkSharing, Watched<'_>),
}

/// The label of the function that is called.
pub(crate) const FUNCTION: &str = "scenario";

pub(crate) const SCENARIOS: &[Scenario] = &[
    of("a value of the process", &["computed", "local"], local),
    of("a value of the store", &["computed", "hit"], hit),
    of("a value of another call", &["computed", "shared"], shared),
    of(
        "an error of another call",
        &["failed", "shared"],
        shared_error,
    ),
    of("an error", &["failed"], failed),
    of("a panic", &["failed"], panicked),
    of("a detached panic", &["failed"], panicked_detached),
    of("an old value", &["computed", "stale"], stale),
    of(
        "an old value in place of an error",
        &["computed", "stale"],
        stale_if_error,
    ),
    of("a wait that is over", &["computed", "timeout"], timed_out),
    of(
        "a wait for one's own computation",
        &["timeout"],
        timed_out_detached,
    ),
    of(
        "a wait that ends by computing",
        &["computed", "computed"],
        overflow,
    ),
    of("detached", &["computed", "hit"], detached),
    of("a task", &["computed", "hit"], task),
    of("inside of itself", &["computed", "computed"], recursive),
    of("many", &["computed", "computed", "hit", "hit", "hit"], many),
    of("many that fail", &["failed", "failed"], many_failed),
    of(
        "many in a task",
        &["computed", "computed", "hit"],
        many_detached,
    ),
    of(
        "many in a task that panics",
        &["failed", "failed"],
        many_panicked,
    ),
    of(
        "many in a task that takes too long",
        &["timeout", "timeout"],
        many_timed_out,
    ),
    of("dropped", &[], dropped),
    of("without a store", &["degraded"], degraded),
];

const fn of(
    name: &'static str,
    outcomes: &'static [&'static str],
    run: fn(&WorkSharing, Watched<'_>),
) -> Scenario {
    Scenario {
        name,
        outcomes,
        run,
    }
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

pub(crate) fn work<T>(sharing: &WorkSharing) -> Work<T> {
    sharing.work("key").name(FUNCTION).ttl(LONG)
}

fn watched(watch: Watched<'_>, run: impl FnOnce()) {
    let mut run = Some(run);
    watch(&mut || run.take().expect("it is run once")());
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LONG, "not so after a minute: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn local(sharing: &WorkSharing, watch: Watched<'_>) {
    watched(watch, || {
        (0..2).for_each(|_| assert_eq!(work(sharing).local(LONG).run_blocking(|| 1), 1));
    });
}

fn hit(sharing: &WorkSharing, watch: Watched<'_>) {
    watched(watch, || {
        (0..2).for_each(|_| assert_eq!(work(sharing).run_blocking(|| 1), 1))
    });
}

/// Two calls, the second of which waits for the first, whose body ends when somebody waits or `until` is so.
fn two<T: Send>(
    sharing: &WorkSharing,
    watch: Watched<'_>,
    call: impl Fn(Work<u32>, &dyn Fn()) -> T + Sync,
    until: impl Fn() -> bool + Send,
) {
    let (begins, begun): (Sender<()>, Receiver<()>) = channel();
    let body = move || {
        begins.send(()).expect("somebody listens");
        wait_until("the other has come", &until);
    };
    thread::scope(|scope| {
        let call = &call;
        scope.spawn(move || watched(watch, || drop(call(work(sharing), &body))));
        begun.recv().expect("a body begins");
        watched(watch, || drop(call(work(sharing), &|| ())));
    });
}

fn shared(sharing: &WorkSharing, watch: Watched<'_>) {
    let call = |work: Work<u32>, body: &dyn Fn()| {
        work.run_blocking(|| {
            body();
            1
        })
    };
    two(sharing, watch, call, || sharing.stats().waited == 1);
}

fn shared_error(sharing: &WorkSharing, watch: Watched<'_>) {
    let call = |work: Work<u32>, body: &dyn Fn()| {
        work.clone_errors().try_run_blocking(|| {
            body();
            Err("it failed".to_owned())
        })
    };
    two(sharing, watch, call, || sharing.stats().waited == 1);
}

fn failed(sharing: &WorkSharing, watch: Watched<'_>) {
    watched(watch, || {
        work::<u32>(sharing)
            .try_run_blocking(|| Err(()))
            .unwrap_err();
    });
}

fn panicked(sharing: &WorkSharing, watch: Watched<'_>) {
    let body = || -> u32 { panic!("as it should") };
    watched(watch, || {
        catch_unwind(AssertUnwindSafe(|| work(sharing).run_blocking(body))).unwrap_err();
    });
}

fn panicked_detached(sharing: &WorkSharing, watch: Watched<'_>) {
    let body = || -> u32 { panic!("as it should") };
    let call = || work(sharing).detach().run_blocking(body);
    watched(watch, || {
        catch_unwind(AssertUnwindSafe(call)).unwrap_err();
    });
}

fn stale(sharing: &WorkSharing, watch: Watched<'_>) {
    let call = || {
        let work = work(sharing).ttl(SHORT).stale_while_revalidate(LONG);
        work.detach().run_blocking(|| 1)
    };
    watched(watch, || {
        call();
        thread::sleep(2 * SHORT);
        call();
        wait_until("it is refreshed", || sharing.stats().stored == 2);
    });
}

fn stale_if_error(sharing: &WorkSharing, watch: Watched<'_>) {
    let call = |end| {
        let work = work(sharing).ttl(SHORT).stale_if_error(LONG);
        work.try_run_blocking(|| end)
    };
    watched(watch, || {
        call(Ok::<_, ()>(1)).unwrap();
        thread::sleep(2 * SHORT);
        assert_eq!(call(Err(())), Ok(1));
    });
}

fn timed_out(sharing: &WorkSharing, watch: Watched<'_>) {
    let call = |work: Work<u32>, body: &dyn Fn()| {
        work.wait(SHORT).on_timeout(|| 2).run_blocking(|| {
            body();
            1
        })
    };
    two(sharing, watch, call, || sharing.stats().timed_out == 1);
}

fn timed_out_detached(sharing: &WorkSharing, watch: Watched<'_>) {
    let (end, ends) = channel::<()>();
    watched(watch, || {
        let work = work(sharing).wait(SHORT).on_timeout(|| 2);
        let body = move || {
            ends.recv().expect_err("nothing is sent");
            1
        };
        assert_eq!(work.detach().run_blocking(body), 2);
    });
    drop(end);
    sharing.drain_blocking(LONG).unwrap();
}

fn overflow(sharing: &WorkSharing, watch: Watched<'_>) {
    let call = |work: Work<u32>, body: &dyn Fn()| {
        work.wait(SHORT).run_blocking(|| {
            body();
            1
        })
    };
    two(sharing, watch, call, || sharing.stats().computed == 2);
}

fn detached(sharing: &WorkSharing, watch: Watched<'_>) {
    watched(watch, || {
        (0..2).for_each(|_| assert_eq!(work(sharing).detach().run_blocking(|| 1), 1));
    });
}

fn task(sharing: &WorkSharing, watch: Watched<'_>) {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    watched(watch, || {
        tokio.block_on(async {
            for _ in 0..2 {
                let body = || async {
                    tokio::task::yield_now().await;
                    1
                };
                work(sharing).detach().run(body).await;
            }
        });
    });
}

fn recursive(sharing: &WorkSharing, watch: Watched<'_>) {
    watched(watch, || {
        let inner = || work(sharing).run_blocking(|| 1);
        work(sharing).run_blocking(|| inner() + 1);
    });
}

fn many(sharing: &WorkSharing, watch: Watched<'_>) {
    let call = |ids: &[u32]| {
        let many = sharing.many(ids.iter().copied(), |id| format!("id {id}"));
        let body = |ids: Vec<u32>| ids.into_iter().map(|id| (id, id)).collect();
        let _: HashMap<u32, u32> = many.with(|work, _| work.name(FUNCTION)).run_blocking(body);
    };
    watched(watch, || {
        call(&[1]);
        call(&[1, 2]);
        call(&[1, 2]);
    });
}

fn many_failed(sharing: &WorkSharing, watch: Watched<'_>) {
    watched(watch, || {
        let many = sharing.many([1, 2], |id: &u32| format!("id {id}"));
        let end: Result<HashMap<u32, u32>, ()> = many
            .with(|work, _| work.name(FUNCTION))
            .try_run_blocking(|_| Err(()));
        end.unwrap_err();
    });
}

fn some(sharing: &WorkSharing) -> ManyWork<u32> {
    let many = sharing.many([1, 2], |id| format!("id {id}"));
    many.with(|work, _| work.name(FUNCTION))
}

fn many_detached(sharing: &WorkSharing, watch: Watched<'_>) {
    let body = |ids: Vec<u32>| ids.into_iter().map(|id| (id, id)).collect();
    watched(watch, || {
        let _: HashMap<u32, u32> = some(sharing).detach().run_blocking(body);
        let many = sharing.many([2], |id: &u32| format!("id {id}"));
        let _: HashMap<u32, u32> = many.with(|work, _| work.name(FUNCTION)).run_blocking(body);
    });
}

fn many_panicked(sharing: &WorkSharing, watch: Watched<'_>) {
    let body = |_: Vec<u32>| -> HashMap<u32, u32> { panic!("as it should") };
    let call = || some(sharing).detach().run_blocking(body);
    watched(watch, || {
        catch_unwind(AssertUnwindSafe(call)).unwrap_err();
    });
}

fn many_timed_out(sharing: &WorkSharing, watch: Watched<'_>) {
    let (end, ends) = channel::<()>();
    let ends = std::sync::Mutex::new(ends);
    watched(watch, || {
        let many = some(sharing).wait(SHORT).on_timeout(HashMap::new);
        let body = move |ids: Vec<u32>| {
            ends.lock().unwrap().recv().expect_err("nothing is sent");
            ids.into_iter().map(|id| (id, id)).collect()
        };
        assert!(many.detach().run_blocking(body).is_empty());
    });
    drop(end);
    sharing.drain_blocking(LONG).unwrap();
}

fn dropped(sharing: &WorkSharing, watch: Watched<'_>) {
    watched(watch, || {
        let mut call = Box::pin(work(sharing).run(async || {
            std::future::pending::<()>().await;
            1
        }));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(call.as_mut().poll(&mut context).is_pending());
    });
}

/// Another runtime, whose store does not answer.
fn degraded(_: &WorkSharing, watch: Watched<'_>) {
    let sharing = WorkSharing::builder().store(Broken).build().unwrap();
    watched(watch, || assert_eq!(work(&sharing).run_blocking(|| 1), 1));
}

#[derive(Debug)]
struct Broken;

fn broken<'a, T>() -> BoxFuture<'a, Result<T, Error>> {
    Box::pin(async { Err(Error::new(ErrorKind::Unavailable, "it is broken")) })
}

impl Store for Broken {
    fn get<'a>(
        &'a self,
        _: &'a [Key],
        _: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        broken()
    }

    fn put<'a>(
        &'a self,
        _: &'a Key,
        _: Bytes,
        _: Duration,
        _: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        broken()
    }

    fn replace<'a>(
        &'a self,
        _: &'a Key,
        _: Bytes,
        _: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        broken()
    }
}
