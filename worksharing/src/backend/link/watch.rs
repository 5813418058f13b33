use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::Protocol;
use super::per_process::PerProcess;
use super::reply::quietly;
use super::shared::Shared;
use crate::Error;

/// How often links are looked after.
const INTERVAL: Duration = Duration::from_millis(500);

/// What the watching thread sees of a link.
pub(super) trait Watched: Send + Sync {
    fn look_after(self: Arc<Self>);
}

impl<W: Protocol> Watched for Shared<W> {
    /// Answers for a thread that is stuck, and interrupts it; starts one that could not be started.
    fn look_after(self: Arc<Self>) {
        let mut state = self.state();
        if state.wanted && !state.running {
            drop(state);
            return self.start();
        }
        let Some(stuck) = self.watchdog.take_overdue().filter(|_| state.running) else {
            return;
        };
        state.given_up += 1;
        let error = Error::unavailable(format!("{} does not answer", self.protocol.name()));
        self.refuse_all(state, &error);
        let stuck = stuck.iter().filter_map(Weak::upgrade);
        stuck.for_each(|connection| connection.interrupt());
    }
}

/// The links of this process, and whether a thread looks after them.
#[derive(Default)]
struct Watch {
    links: Vec<Weak<dyn Watched>>,
    running: bool,
}

static WATCH: PerProcess<Mutex<Watch>> = PerProcess::new();

fn watch() -> MutexGuard<'static, Watch> {
    let watch = WATCH.get(Mutex::default);
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the process's watching thread look after a link, for as long as it lives.
pub(super) fn look_after(link: Weak<dyn Watched>) {
    watch().links.push(link);
    ensure();
}

/// Starts the watching thread, unless it runs.
pub(super) fn ensure() {
    let mut watch = watch();
    if watch.running {
        return;
    }
    let spawned = thread::Builder::new()
        .name("worksharing watch".into())
        .spawn(run);
    watch.running = spawned.is_ok();
    drop(watch);
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread can be started: a server that hangs is not noticed");
    }
}

fn run() {
    loop {
        let begun = Instant::now();
        thread::sleep(INTERVAL);
        let mut watch = watch();
        watch.links.retain(|link| link.strong_count() > 0);
        let live: Vec<_> = watch.links.iter().filter_map(Weak::upgrade).collect();
        drop(watch);
        // Where this thread was late the whole process was: then nobody's time has run out.
        if begun.elapsed() < INTERVAL * 3 {
            live.into_iter()
                .for_each(|link| quietly(|| link.look_after()));
        }
    }
}
