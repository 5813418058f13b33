//! Callers, as threads and as tasks.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use futures_util::FutureExt as _;
use tokio::runtime::Runtime;
use worksharing::{Key, Work, WorkSharing, lock, testing};

use super::tell::{tell, tell_later};
use crate::now_us;
use crate::plan::{End, Event, Moment, Run};

pub(super) fn start(sharing: &WorkSharing, run: &Run) {
    for number in 0..run.callers.count() {
        let key = if run.distinct {
            format!("{}{number}", run.key)
        } else {
            run.key.clone()
        };
        let caller = Caller::new(key, run);
        let sharing = sharing.clone();
        if run.callers.is_task(number) {
            runtime().spawn(caller.task(sharing));
        } else {
            let thread = thread::Builder::new().stack_size(256 * 1024);
            thread
                .spawn(move || caller.thread(&sharing))
                .expect("cannot start a thread");
        }
    }
}

/// One blocking caller. Whatever it has queued is flushed, and the process ends. All the time something is under way, so
/// that what is queued has to wait.
pub(super) fn run_and_leave(sharing: &WorkSharing, run: &Run) {
    let (store, lock) = testing::backends(sharing);
    let busy = Arc::clone(&lock);
    thread::spawn(move || {
        let key = Key::new("under way");
        while runtime()
            .block_on(busy.try_lock(&key, lock::Caller::Nested))
            .is_ok()
        {}
    });
    Caller::new(run.key.clone(), run).thread(sharing);
    let flushed = runtime().block_on(async {
        store.flush().await?;
        lock.flush().await
    });
    process::exit(i32::from(flushed.is_err()));
}

pub(super) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("cannot start tokio"))
}

/// One caller of one key.
struct Caller {
    number: usize,
    key: String,
    run: Run,
}

impl Caller {
    fn new(key: String, run: &Run) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            key,
            run: run.clone(),
        }
    }

    fn thread(&self, sharing: &WorkSharing) {
        tell(&Event::Called(self.now()));
        let call = || {
            self.work(sharing).try_run_blocking(|| {
                self.begin();
                thread::sleep(self.run.body);
                self.end()
            })
        };
        let answer = catch_unwind(AssertUnwindSafe(call));
        self.served(answer);
    }

    async fn task(self, sharing: WorkSharing) {
        tell(&Event::Called(self.now()));
        let call = self.work(&sharing).try_run(async || {
            self.begin();
            tokio::time::sleep(self.run.body).await;
            self.end()
        });
        let answer = AssertUnwindSafe(call).catch_unwind().await;
        self.served(answer);
    }

    fn work(&self, sharing: &WorkSharing) -> Work<String> {
        sharing
            .work(self.key.as_str())
            .ttl(self.run.ttl)
            .force_refresh(self.run.force_refresh)
    }

    fn begin(&self) {
        tell(&Event::BodyBegin(self.now()));
    }

    fn end(&self) -> Result<String, String> {
        static EXECUTIONS: AtomicU64 = AtomicU64::new(0);
        let number = EXECUTIONS.fetch_add(1, Ordering::Relaxed);
        let id = format!("execution {number} of process {}", process::id());
        let failing = match self.run.end {
            End::Return => false,
            End::Fail | End::Panic => true,
            End::Maybe => now_us().is_multiple_of(2),
        };
        let end = if failing { Err(id) } else { Ok(id) };
        tell(&Event::BodyEnd(self.now(), end.clone()));
        match end {
            Err(id) if self.run.end == End::Panic => resume_unwind(Box::new(id)),
            end => end,
        }
    }

    fn served(&self, answer: thread::Result<Result<String, String>>) {
        // The time first: telling it takes time, too.
        let now = self.now();
        let answer = answer.unwrap_or_else(|panic| {
            Err(format!(
                "panic: {}",
                panic.downcast_ref::<String>().map_or("?", |text| text)
            ))
        });
        tell_later(Event::Served(now, answer));
    }

    fn now(&self) -> Moment {
        Moment {
            at_us: now_us(),
            pid: process::id(),
            caller: self.number,
            key: self.key.clone(),
        }
    }
}
