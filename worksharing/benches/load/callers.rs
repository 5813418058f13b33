//! Many callers at once, each calling again and again until the time is over.

use std::future::Future;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::runtime::Runtime;

/// Calls each second by this many threads. `call` is given the number of the thread and of its call.
pub(crate) fn threads(number: usize, time: Duration, call: impl Fn(usize, u64) + Sync) -> f64 {
    let (over, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    let start = Barrier::new(number + 1);
    let mut begun = Instant::now();
    thread::scope(|scope| {
        for caller in 0..number {
            let (over, calls, start, call) = (&over, &calls, &start, &call);
            scope.spawn(move || {
                start.wait();
                let mut done = 0;
                while !over.load(Ordering::Relaxed) {
                    call(caller, done);
                    done += 1;
                }
                calls.fetch_add(done, Ordering::Relaxed);
            });
        }
        start.wait();
        begun = Instant::now();
        thread::sleep(time);
        over.store(true, Ordering::Relaxed);
    });
    calls.into_inner() as f64 / begun.elapsed().as_secs_f64()
}

/// Calls each second by this many tasks.
pub(crate) fn tasks<F, C>(tokio: &Runtime, number: usize, time: Duration, call: C) -> Result<f64>
where
    F: Future<Output = ()> + Send + 'static,
    C: Fn(usize, u64) -> F + Clone + Send + Sync + 'static,
{
    tokio.block_on(async {
        let begun = Instant::now();
        let callers: Vec<_> = (0..number)
            .map(|caller| {
                let call = call.clone();
                tokio::spawn(async move {
                    let mut done = 0;
                    while begun.elapsed() < time {
                        call(caller, done).await;
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        let mut calls = 0;
        for caller in callers {
            calls += caller.await?;
        }
        Ok(calls as f64 / begun.elapsed().as_secs_f64())
    })
}

/// The median time of one call, in microseconds, by this thread alone.
pub(crate) fn alone(time: Duration, mut call: impl FnMut(u64)) -> f64 {
    let mut times = Times::begin();
    while times.last < times.begun + time {
        call(times.number());
        times.push();
    }
    times.median()
}

/// The median time of one call, in microseconds, by one task alone.
pub(crate) fn alone_in_a_task<F, C>(tokio: &Runtime, time: Duration, call: C) -> Result<f64>
where
    F: Future<Output = ()> + Send,
    C: Fn(u64) -> F + Send + 'static,
{
    let task = async move {
        let mut times = Times::begin();
        while times.last < times.begun + time {
            call(times.number()).await;
            times.push();
        }
        times.median()
    };
    Ok(tokio.block_on(tokio.spawn(task))?)
}

/// The times of calls of one caller, one after the other.
struct Times {
    begun: Instant,
    last: Instant,
    nanoseconds: Vec<u128>,
}

impl Times {
    fn begin() -> Self {
        let begun = Instant::now();
        Self {
            begun,
            last: begun,
            nanoseconds: Vec::new(),
        }
    }

    fn number(&self) -> u64 {
        self.nanoseconds.len() as u64
    }

    fn push(&mut self) {
        let now = Instant::now();
        self.nanoseconds.push((now - self.last).as_nanos());
        self.last = now;
    }

    fn median(mut self) -> f64 {
        self.nanoseconds.sort_unstable();
        self.nanoseconds[self.nanoseconds.len() / 2] as f64 / 1e3
    }
}
