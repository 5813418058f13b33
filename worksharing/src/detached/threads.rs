//! Threads for detached work. An idle one stays for a while and takes the next job, which spares that the start of a
//! thread.
//!
//! No job waits for the end of another one, so there are as many threads as jobs at a time. How many that may be is for
//! the caller to see to.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::per_process::PerProcess;

type Job = Box<dyn FnOnce() + Send>;

/// A fork takes no threads along.
static THREADS: PerProcess<Threads> = PerProcess::new();

/// How long an idle thread stays.
const STAYS: Duration = Duration::from_secs(5);

/// Runs a job at once. One that cannot be run, for want of a thread, is dropped.
///
/// # Errors
/// No thread can be started.
pub(super) fn run(job: impl FnOnce() + Send + 'static) -> io::Result<()> {
    THREADS.get(|| Threads::new(STAYS)).run(Box::new(job))
}

struct Threads {
    /// What gives each of them a job. The last one has been idle for the shortest time.
    idle: Mutex<Vec<(ThreadId, SyncSender<Job>)>>,
    stays: Duration,
}

impl Threads {
    const fn new(stays: Duration) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            stays,
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(ThreadId, SyncSender<Job>)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&'static self, job: Job) -> io::Result<()> {
        // The last one, so that those that are not needed end.
        let idle = self.idle().pop();
        let job = match idle {
            None => job,
            // Who is on the list has room for one job.
            Some((_, thread)) => match thread.send(job) {
                Ok(()) => return Ok(()),
                Err(unsent) => unsent.0,
            },
        };
        let thread = thread::Builder::new().name("worksharing detached".into());
        thread.spawn(|| self.work(job)).map(drop)
    }

    fn work(&self, first: Job) {
        let (sender, jobs) = sync_channel(1);
        let mut next = Some(first);
        while let Some(job) = next {
            job();
            next = self.next(&sender, &jobs);
        }
    }

    /// The next job; `None`: there has been none for a while.
    fn next(&self, sender: &SyncSender<Job>, jobs: &Receiver<Job>) -> Option<Job> {
        let this = thread::current().id();
        self.idle().push((this, sender.clone()));
        if let Ok(job) = jobs.recv_timeout(self.stays) {
            return Some(job);
        }
        let mut idle = self.idle();
        match idle.iter().position(|(thread, _)| *thread == this) {
            Some(at) => {
                idle.remove(at);
                None
            }
            // It was taken from the list in this moment, so a job is on its way.
            None => {
                drop(idle);
                jobs.recv().ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Tells of the thread that it runs on, and waits to be let go.
    fn job(tell: &Sender<ThreadId>) -> (Job, Sender<()>) {
        let (tell, (go, gone)) = (tell.clone(), channel());
        let job = Box::new(move || {
            tell.send(thread::current().id()).unwrap();
            let _ = gone.recv();
        });
        (job, go)
    }

    fn threads(stays: Duration) -> &'static Threads {
        Box::leak(Box::new(Threads::new(stays)))
    }

    fn await_idle(threads: &Threads, number: usize) {
        while threads.idle().len() != number {
            thread::yield_now();
        }
    }

    #[test]
    fn jobs_run_at_the_same_time_and_idle_threads_take_the_next() {
        let threads = threads(Duration::MAX);
        let (tell, told) = channel();
        let run = || {
            let (job, go) = job(&tell);
            threads.run(job).unwrap();
            (told.recv().unwrap(), go)
        };
        let [(first, go_first), (second, go_second)] = [run(), run()];
        assert_ne!(first, second);
        drop(go_first);
        await_idle(threads, 1);
        let (third, go_third) = run();
        assert_eq!(third, first);
        drop(go_second);
        await_idle(threads, 1);
        drop(go_third);
        await_idle(threads, 2);
        assert_eq!(run().0, third, "the last one that was idle");
    }

    #[test]
    fn idle_thread_ends_after_a_while() {
        thread_local! {
            /// Goes with its thread.
            static LIVES: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
        }
        let threads = threads(Duration::from_millis(1));
        let (lives, ended) = channel();
        let job = move || LIVES.set(Some(lives));
        threads.run(Box::new(job)).unwrap();
        assert!(ended.recv().is_err(), "by its end");
        assert_eq!(threads.idle().len(), 0);
    }

    #[test]
    fn no_job_is_lost_to_a_thread_that_is_about_to_end() {
        let threads = threads(Duration::from_micros(20));
        let (tell, told) = channel();
        for number in 0..500 {
            let tell = tell.clone();
            threads
                .run(Box::new(move || tell.send(number).unwrap()))
                .unwrap();
            assert_eq!(told.recv(), Ok(number));
            thread::sleep(Duration::from_micros(number % 40));
        }
    }

    #[test]
    fn job_that_panics_takes_its_thread_along() {
        let threads = threads(Duration::MAX);
        let (tell, told) = channel::<()>();
        let panics = move || {
            let _tell = tell;
            std::panic::resume_unwind(Box::new(()));
        };
        threads.run(Box::new(panics)).unwrap();
        assert!(told.recv().is_err(), "it is unwound");
        let (tell, told) = channel();
        let (job, go) = job(&tell);
        threads.run(job).unwrap();
        told.recv().unwrap();
        drop(go);
        await_idle(threads, 1);
    }
}
