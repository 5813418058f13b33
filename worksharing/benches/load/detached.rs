//! What `detach` adds to a miss, and that it adds nothing to a hit.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use worksharing::{Work, WorkSharing};

use crate::Load;
use crate::bed::{Report, TTL};
use crate::callers;
use crate::rounds::{Goal, compare, contender};

/// How much more a detached miss may take, in microseconds.
const MORE: Goal = Goal::AtMostMore(30.0);

/// Of a key that nobody asked for before.
fn miss(sharing: &WorkSharing) -> Work<Report> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    sharing.work(format!("detach:{next}")).ttl(TTL)
}

fn hit(load: &Load) -> Work<Report> {
    load.sharing.work("detach:hit").ttl(TTL)
}

/// A task alone.
pub(crate) fn async_miss(load: &Load) -> Result<()> {
    let compute = async || Report::compute();
    let alone = |detaches: bool| {
        let sharing = load.sharing.clone();
        callers::alone_in_a_task(&load.tokio, load.time, move |_| {
            let work = miss(&sharing);
            async move {
                drop(match detaches {
                    true => work.detach().run(compute).await,
                    false => work.run(compute).await,
                });
            }
        })
    };
    let contenders = vec![
        contender("miss, detached, in a task", || alone(true)),
        contender("miss, in a task", || alone(false)).goal(MORE),
    ];
    compare(load.rounds, "µs", contenders)
}

/// A thread alone.
pub(crate) fn blocking_miss(load: &Load) -> Result<()> {
    let contenders = vec![
        contender("miss, detached", || {
            Ok(callers::alone(load.time, |_| {
                miss(&load.sharing).detach().run_blocking(Report::compute);
            }))
        }),
        contender("miss", || {
            Ok(callers::alone(load.time, |_| {
                miss(&load.sharing).run_blocking(Report::compute);
            }))
        })
        .goal(MORE),
    ];
    compare(load.rounds, "µs", contenders)
}

/// A thread alone.
pub(crate) fn blocking_hit(load: &Load) -> Result<()> {
    let contenders = vec![
        contender("hit, detached", || {
            Ok(callers::alone(load.time, |_| {
                hit(load).detach().run_blocking(Report::compute);
            }))
        }),
        contender("hit", || {
            Ok(callers::alone(load.time, |_| {
                hit(load).run_blocking(Report::compute);
            }))
        })
        .goal(Goal::AtMost(1.1)),
    ];
    compare(load.rounds, "µs", contenders)
}
