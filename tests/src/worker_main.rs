use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Runtime;
use worksharing::{PostgresLock, Work, WorkSharing};

use crate::plan::{Command, End, Event, Moment, Run, Setup};
use crate::{WorkerStats, now_us};

/// What a worker does: builds a runtime and calls it as its standard input says, and tells on its standard
/// output what happened when. Ends with its standard input.
pub fn worker_main() {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(io::stderr)
        .with_env_filter("warn")
        .init();
    let mut lines = io::stdin().lines().map_while(Result::ok);
    let setup: Setup = serde_json::from_str(&lines.next().expect("the setup")).expect("a setup");
    let sharing = match build(&setup) {
        Ok(sharing) => sharing,
        Err(error) => return tell(&Event::Ready(Some(error.to_string()))),
    };
    tell(&Event::Ready(None));
    for line in lines {
        obey(&sharing, serde_json::from_str(&line).expect("a command"));
    }
}

fn build(setup: &Setup) -> Result<WorkSharing, worksharing::Error> {
    let mut builder = WorkSharing::builder();
    if let Some(url) = &setup.postgres {
        builder = builder.postgres(url);
    }
    if let Some(url) = &setup.redis {
        builder = builder.redis(url);
    }
    if let Some(path) = &setup.directory {
        builder = builder.directory(path);
    }
    if let Some(count) = setup.max_held_keys {
        builder = builder.max_held_keys(count);
    }
    match setup.lock.as_deref() {
        Some("session") => builder = builder.postgres_lock(PostgresLock::Session),
        Some("lease") => builder = builder.postgres_lock(PostgresLock::Lease),
        _ => {}
    }
    builder.build()
}

fn obey(sharing: &WorkSharing, command: Command) {
    match command {
        Command::Run(run) => start(sharing, &run),
        Command::Check => tell(&Event::Checked(
            sharing.check().err().map(|error| error.to_string()),
        )),
        Command::Stats => tell(&Event::Stats(stats(sharing))),
        Command::Peek(key) => tell(&Event::Peeked(sharing.work::<String>(key).peek_blocking())),
        Command::Invalidate(key) => {
            let result = sharing.work::<String>(key).invalidate_blocking();
            tell(&Event::Checked(result.err().map(|error| error.to_string())));
        }
    }
}

fn start(sharing: &WorkSharing, run: &Run) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    for number in 0..run.callers.count() {
        let key = if run.distinct {
            format!("{}{number}", run.key)
        } else {
            run.key.clone()
        };
        let caller = Caller {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            key,
            run: run.clone(),
        };
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

fn runtime() -> &'static Runtime {
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

fn stats(sharing: &WorkSharing) -> WorkerStats {
    let stats = sharing.stats();
    WorkerStats {
        hits: stats.hits,
        computed: stats.computed,
        waited: stats.waited,
        shared: stats.shared,
        stored: stats.stored,
        refused: stats.refused,
        degraded: stats.degraded,
        unreadable: stats.unreadable,
    }
}

/// Tells when the others have been served: a thousand lines of JSON would hold them up.
fn tell_later(event: Event) {
    static QUEUE: OnceLock<mpsc::Sender<Event>> = OnceLock::new();
    let queue = QUEUE.get_or_init(|| {
        let (queue, events) = mpsc::channel();
        thread::spawn(move || {
            for event in events {
                // The first one waits for all that come at the same time.
                if let Event::Served(moment, _) = &event {
                    let due =
                        Duration::from_micros((moment.at_us + 80_000).saturating_sub(now_us()));
                    thread::sleep(due);
                }
                tell(&event);
            }
        });
        queue
    });
    queue.send(event).expect("the thread never ends");
}

fn tell(event: &Event) {
    let mut line = serde_json::to_string(event).expect("events are JSON");
    line.push('\n');
    let mut out = io::stdout().lock();
    // Whoever listened is gone: so is the reason to go on.
    if out
        .write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .is_err()
    {
        process::exit(1);
    }
}
