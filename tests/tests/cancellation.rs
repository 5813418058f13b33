//! Case 16: futures dropped at every await point, in every role, beside every outcome.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{join, join_all};
use tests::{Servers, on_each_backend, wait_until};
use worksharing::WorkSharing;

const LIMIT: Duration = Duration::from_secs(20);

/// How the bodies end that are allowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Value,
    Error,
    Panic,
}

/// What a caller gets: a value, an error, or a panic's text.
type Answer = Result<usize, String>;

/// Polls the future until it has been pending so many times and once more; then it is dropped.
async fn cut_after<F: Future>(pendings: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = pendings;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Counts the bodies that begin, and those that run at the same time.
#[derive(Default)]
struct Bodies {
    begun: AtomicUsize,
    running: AtomicUsize,
}

impl Bodies {
    async fn body(&self, outcome: Outcome) -> Result<usize, String> {
        let number = self.begun.fetch_add(1, SeqCst);
        assert_eq!(self.running.fetch_add(1, SeqCst), 0, "two bodies at once");
        let ends = Ends(&self.running);
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        drop(ends);
        match outcome {
            Outcome::Value => Ok(number),
            Outcome::Error => Err(format!("error {number}")),
            // A panic that is not printed: there are hundreds.
            Outcome::Panic => resume_unwind(Box::new(format!("panic {number}"))),
        }
    }
}

struct Ends<'a>(&'a AtomicUsize);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

async fn call(sharing: &WorkSharing, key: &str, bodies: &Bodies, outcome: Outcome) -> Answer {
    let work = sharing.work::<usize>(key);
    let call = AssertUnwindSafe(work.try_run(async || bodies.body(outcome).await)).catch_unwind();
    call.await.unwrap_or_else(|panic| {
        Err(panic
            .downcast_ref::<String>()
            .map_or_else(|| "?".to_owned(), Clone::clone))
    })
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(LIMIT, future).await.expect("it hangs") })
}

/// Drops a call after its first, second, third … await, on a new key each time, until it ends before it is
/// dropped. `others` are the calls that run beside it.
fn at_every_await(mut round: impl FnMut(usize, &str) -> bool) -> usize {
    for pendings in 0..1_000 {
        if round(pendings, &format!("dropped after {pendings}")) {
            return pendings;
        }
    }
    panic!("it never ends");
}

#[test]
fn dropped_leader_is_succeeded_by_exactly_one() {
    on_each_backend(|backend, build| {
        let (ours, theirs) = (build(), build());
        let points = at_every_await(|pendings, key| {
            let bodies = Bodies::default();
            let others = join_all((0..4).map(|number| {
                let sharing = if number < 3 { &ours } else { &theirs };
                call(sharing, key, &bodies, Outcome::Value)
            }));
            // The one to be dropped is polled first, so it leads.
            let leader = cut_after(pendings, call(&ours, key, &bodies, Outcome::Value));
            let (led, answers) = block_on(join(leader, others));
            let begun = bodies.begun.load(SeqCst);
            assert!(
                begun <= 2,
                "{backend}: {begun} bodies, dropped after {pendings}"
            );
            let value = answers[0].clone().unwrap();
            assert!(
                answers.iter().all(|answer| *answer == Ok(value)),
                "{backend}: {answers:?}"
            );
            if let Some(led) = &led {
                assert_eq!(answers[0], *led, "{backend}");
                assert_eq!(begun, 1, "{backend}");
            }
            led.is_some()
        });
        eprintln!("{backend}: dropped at {points} points");
        // The body alone waits twice; what else is waited for may be there before it is asked for.
        assert!(points >= 2, "{backend}: {points}");
    });
}

#[test]
fn dropped_follower_disturbs_nobody_whatever_the_outcome() {
    let servers = Servers::start();
    let (ours, theirs) = (servers.sharing(), servers.sharing());
    for outcome in [Outcome::Value, Outcome::Error, Outcome::Panic] {
        // In its own process the dropped one follows; in another one it waits for the lock.
        for of in [&ours, &theirs] {
            at_every_await(|pendings, key| {
                let key = format!(
                    "{key}, {outcome:?}, {}",
                    std::ptr::eq(of, &raw const theirs)
                );
                let bodies = Bodies::default();
                let leader = call(&ours, &key, &bodies, outcome);
                let rest = async {
                    // Not before the leader leads, or it may be one of these.
                    while bodies.begun.load(SeqCst) == 0 {
                        tokio::task::yield_now().await;
                    }
                    let follower = cut_after(pendings, call(of, &key, &bodies, outcome));
                    let others = [&ours, &theirs].map(|of| call(of, &key, &bodies, outcome));
                    join(follower, join_all(others)).await
                };
                let (led, (followed, answers)) = block_on(join(leader, rest));
                let mut answers =
                    [vec![led], answers, followed.clone().into_iter().collect()].concat();
                answers.sort();
                answers.dedup();
                let begun = bodies.begun.load(SeqCst);
                if outcome == Outcome::Value {
                    assert_eq!((begun, answers.len()), (1, 1), "{answers:?}");
                } else {
                    // Each its own failure; the dropped one may have begun, too.
                    assert!(
                        answers.len() == 3 + followed.iter().len(),
                        "{outcome:?}: {answers:?}"
                    );
                    assert!((3..=4).contains(&begun), "{outcome:?}: {begun}");
                }
                followed.is_some()
            });
        }
    }
    drop((ours, theirs));
    wait_until(LIMIT, "no lock is left", || {
        servers.postgres.advisory_locks() == 0
    });
}

#[test]
fn failing_leader_beside_dropped_ones_is_succeeded() {
    let servers = Servers::start();
    let (ours, theirs) = (servers.sharing(), servers.sharing());
    for outcome in [Outcome::Error, Outcome::Panic] {
        at_every_await(|pendings, key| {
            let key = format!("{key}, {outcome:?}");
            let bodies = Bodies::default();
            let failing = call(&ours, &key, &bodies, outcome);
            let dropped = cut_after(pendings, call(&ours, &key, &bodies, Outcome::Value));
            let last = join_all([&ours, &theirs].map(|of| call(of, &key, &bodies, Outcome::Value)));
            let (failed, (dropped, last)) = block_on(join(failing, join(dropped, last)));
            // The other process's caller may have been first.
            assert!(failed.is_err() || failed == last[0], "{failed:?}");
            assert!(last[0].is_ok() && last[0] == last[1], "{last:?}");
            dropped.is_some()
        });
    }
}

#[test]
fn nothing_is_left_behind_when_all_callers_go() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    at_every_await(|pendings, key| {
        let bodies = Bodies::default();
        let callers =
            (0..3).map(|_| cut_after(pendings, call(&sharing, key, &bodies, Outcome::Value)));
        let answers = block_on(join_all(callers));
        wait_until(LIMIT, "no lock is left", || {
            servers.postgres.advisory_locks() == 0
        });
        // And the next caller of the key has it to itself.
        let next = block_on(call(&sharing, key, &bodies, Outcome::Value));
        assert!(next.is_ok());
        answers.iter().all(Option::is_some)
    });
    wait_until(LIMIT, "no lock is left", || {
        servers.postgres.advisory_locks() == 0
    });
    assert!(servers.postgres.sessions() <= 2);
}

#[test]
fn dropped_refresh_leaves_the_stored_value() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    at_every_await(|pendings, key| {
        let stored = sharing.work(key).run_blocking(|| 1_000);
        let refresh = sharing.work(key).force_refresh(true);
        let body = async || {
            tokio::time::sleep(Duration::from_millis(2)).await;
            1_001
        };
        let refreshed = block_on(cut_after(pendings, refresh.run(body)));
        let now: Option<i32> = sharing.work(key).peek_blocking();
        // Dropped while it was being stored, it may be stored.
        assert!(
            now == refreshed.or(Some(stored)) || now == Some(1_001),
            "{now:?}"
        );
        refreshed.is_some()
    });
    wait_until(LIMIT, "no lock is left", || {
        servers.postgres.advisory_locks() == 0
    });
}
