//! Callers, as threads and as tasks.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use futures_util::FutureExt as _;
use tokio::runtime::Runtime;
use worksharing::{Key, Work, WorkSharing, lock, testing};

use super::options::with_options;
use super::tell::{tell, tell_later};
use crate::plan::{End, Event, GAVE_UP, Moment, NOTHING, Run, Scope};
use crate::{now_us, whole};

pub(super) fn start(sharing: &WorkSharing, run: &Run) {
    for number in 0..run.callers.count() {
        let key = if run.distinct {
            format!("{}{number}", run.key)
        } else {
            run.key.clone()
        };
        let caller = Arc::new(Caller::new(key, run));
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
    Arc::new(Caller::new(run.key.clone(), run)).thread(sharing);
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

/// A body that runs. Dropped before its end, it has failed.
struct Running(Option<Arc<Caller>>);

impl Running {
    fn end(mut self) -> Answer {
        let caller = self.0.take().expect("it ends once");
        caller.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(caller) = &self.0 {
            let dropped = Err("dropped".to_owned());
            tell(&Event::BodyEnd(caller.now(), dropped));
        }
    }
}

/// What is shared. A body may give none.
pub(super) type Value = Option<String>;
type Answer = Result<Value, String>;

fn told(answer: Answer) -> Result<String, String> {
    answer.map(|value| value.unwrap_or_else(|| NOTHING.to_owned()))
}

/// One caller of one key.
struct Caller {
    number: usize,
    key: String,
    run: Run,
}

impl Caller {
    fn new(key: String, run: &Run) -> Self {
        Self {
            number: next_number(),
            key,
            run: run.clone(),
        }
    }

    fn thread(self: Arc<Self>, sharing: &WorkSharing) {
        for _ in 0..self.run.calls {
            tell(&Event::Called(self.now()));
            let answer = catch_unwind(AssertUnwindSafe(|| self.call_blocking(sharing)));
            self.served(answer);
            thread::sleep(self.run.rest);
        }
    }

    async fn task(self: Arc<Self>, sharing: WorkSharing) {
        for _ in 0..self.run.calls {
            tell(&Event::Called(self.now()));
            let answer = AssertUnwindSafe(self.call_for_a_while(&sharing)).catch_unwind();
            self.served(answer.await);
            tokio::time::sleep(self.run.rest).await;
        }
    }

    async fn call_for_a_while(self: &Arc<Self>, sharing: &WorkSharing) -> Answer {
        let call = self.call(sharing);
        match self.run.gives_up {
            None => call.await,
            Some(time) => {
                let call = tokio::time::timeout(time, call).await;
                call.unwrap_or_else(|_| Err(GAVE_UP.to_owned()))
            }
        }
    }

    async fn call(self: &Arc<Self>, sharing: &WorkSharing) -> Answer {
        let body = |caller: Arc<Self>| async move {
            let running = caller.begin();
            tokio::time::sleep(caller.run.body).await;
            running.end()
        };
        let (ours, theirs) = (Arc::clone(self), Arc::clone(self));
        with_options!(self.work(sharing), &self.run.options, |work| {
            if self.run.options.detach {
                work.detach().try_run(move || body(theirs)).await
            } else {
                work.try_run(async || body(ours).await).await
            }
        })
    }

    fn call_blocking(self: &Arc<Self>, sharing: &WorkSharing) -> Answer {
        let caller = Arc::clone(self);
        let body = move || {
            let running = caller.begin();
            thread::sleep(caller.run.body);
            running.end()
        };
        with_options!(self.work(sharing), &self.run.options, |work| {
            if self.run.options.detach {
                work.detach().try_run_blocking(body)
            } else {
                work.try_run_blocking(body)
            }
        })
    }

    fn work(&self, sharing: &WorkSharing) -> Work<Value> {
        let work = sharing.work(self.key.as_str()).ttl(self.run.ttl);
        self.run.options.of(work)
    }

    fn begin(self: &Arc<Self>) -> Running {
        tell(&Event::BodyBegin(self.now()));
        Running(Some(Arc::clone(self)))
    }

    fn end(&self) -> Answer {
        static EXECUTIONS: AtomicU64 = AtomicU64::new(0);
        let number = EXECUTIONS.fetch_add(1, Ordering::Relaxed);
        let id = format!("execution {number} of process {}", process::id());
        let failing = match self.run.end {
            End::Return | End::Nothing => false,
            End::Fail | End::Panic => true,
            End::Maybe => now_us().is_multiple_of(2),
            End::Down(from, until) => (from..until).contains(&now_us()),
        };
        let value = (self.run.end != End::Nothing).then_some(id.clone());
        let end = if failing { Err(id) } else { Ok(value) };
        tell(&Event::BodyEnd(self.now(), told(end.clone())));
        match end {
            Err(id) if self.run.end == End::Panic => resume_unwind(Box::new(id)),
            end => end,
        }
    }

    fn served(&self, answer: thread::Result<Answer>) {
        // The time first: telling it takes time, too.
        let now = self.now();
        let answer = answer.unwrap_or_else(|panic| {
            Err(format!(
                "panic: {}",
                panic.downcast_ref::<String>().map_or("?", |text| text)
            ))
        });
        tell_later(Event::Served(now, told(answer)));
    }

    fn now(&self) -> Moment {
        now(self.number, &self.key)
    }
}

fn next_number() -> usize {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

fn now(caller: usize, key: &str) -> Moment {
    Moment {
        at_us: now_us(),
        pid: process::id(),
        caller,
        key: key.to_owned(),
    }
}

/// On a thread of its own: it may last, and other commands are to be obeyed meanwhile.
pub(super) fn begin_to_invalidate(sharing: WorkSharing, scope: Scope, name: String) {
    let number = next_number();
    thread::spawn(move || {
        tell(&Event::Invalidating(now(number, &name), scope));
        let result = match scope {
            Scope::Key => sharing.work::<Value>(name.as_str()).invalidate_blocking(),
            Scope::Tag => sharing.invalidate_tag_blocking(name.as_str()),
        };
        let returned = now(number, &name);
        let trouble = result.err().map(|error| whole(&error));
        tell(&Event::Invalidated(returned, scope, trouble));
    });
}
