//! Many callers of one key: how long after the leader's end the last follower has its value.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use worksharing::WorkSharing;

use crate::Load;
use crate::bed::{Report, TTL};
use crate::rounds::{Contender, compare, contender};

/// Followers as tasks.
pub(crate) fn tasks(load: &Load) -> Result<()> {
    let herd = |name, callers| -> Contender<'_> {
        let mut round = 0;
        contender(name, move || {
            round += 1;
            by_tasks(load, callers, &format!("herd:{callers}:{round}"))
        })
    };
    compare(load.rounds, "ms", vec![herd("1,000 tasks", 1_000)])?;
    compare(load.rounds, "ms", vec![herd("10,000 tasks", 10_000)])
}

/// Followers as threads.
pub(crate) fn threads(load: &Load) -> Result<()> {
    let mut round = 0;
    compare(
        load.rounds,
        "ms",
        vec![contender("1,000 threads", || {
            round += 1;
            Ok(by_threads(load, 1_000, &format!("herd:threads:{round}")))
        })],
    )
}

/// The end of the leader's body, once all others wait for it.
struct End {
    sharing: WorkSharing,
    /// What the runtime had counted before.
    waited: u64,
    at: Mutex<Option<Instant>>,
}

impl End {
    fn of(sharing: &WorkSharing) -> Arc<Self> {
        let (sharing, waited) = (sharing.clone(), sharing.stats().waited);
        Arc::new(Self {
            sharing,
            waited,
            at: Mutex::default(),
        })
    }

    fn is_near(&self, callers: usize) -> bool {
        self.sharing.stats().waited - self.waited >= callers as u64 - 1
    }

    fn now(&self) -> Report {
        // Those who have just been counted are to be asleep too.
        thread::sleep(Duration::from_millis(20));
        *self.at.lock().expect("poisoned") = Some(Instant::now());
        Report::compute()
    }

    /// Milliseconds since the end.
    fn elapsed(&self) -> f64 {
        let at = self.at.lock().expect("poisoned").expect("somebody led");
        at.elapsed().as_secs_f64() * 1e3
    }
}

fn by_tasks(load: &Load, callers: usize, characteristic: &str) -> Result<f64> {
    let end = End::of(&load.sharing);
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (end, work) = (
                Arc::clone(&end),
                load.sharing.work::<Report>(characteristic).ttl(TTL),
            );
            load.tokio.spawn(async move {
                let body = async || {
                    while !end.is_near(callers) {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    end.now()
                };
                work.run(body).await;
                end.elapsed()
            })
        })
        .collect();
    load.tokio.block_on(async {
        let mut last = 0_f64;
        for task in tasks {
            last = last.max(task.await?);
        }
        Ok(last)
    })
}

fn by_threads(load: &Load, callers: usize, characteristic: &str) -> f64 {
    let end = End::of(&load.sharing);
    thread::scope(|scope| {
        let call = || {
            let body = || {
                while !end.is_near(callers) {
                    thread::sleep(Duration::from_millis(1));
                }
                end.now()
            };
            load.sharing
                .work(characteristic)
                .ttl(TTL)
                .run_blocking(body);
            end.elapsed()
        };
        let threads: Vec<_> = (0..callers).map(|_| scope.spawn(call)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a caller panicked"))
            .fold(0.0, f64::max)
    })
}
