use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::{Protocol, Shared};
use crate::Error;

/// How long a link's thread may go on without a sign of progress.
#[derive(Default)]
pub(crate) struct Watchdog(Mutex<Option<Instant>>);

/// What an answer of the server may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

impl Watchdog {
    /// A step with the server begins, that takes no longer than [`PATIENCE`].
    pub(crate) fn arm(&self) {
        self.arm_for(PATIENCE);
    }

    /// A step with the server begins, that takes no longer than this.
    pub(crate) fn arm_for(&self, patience: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + patience);
    }

    pub(super) fn disarm(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn is_overdue(&self) -> bool {
        let deadline = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.is_some_and(|deadline| deadline < Instant::now())
    }
}

/// What the watching thread sees of a link.
pub(super) trait Watched: Send + Sync {
    fn look_after(self: Arc<Self>);
}

impl<W: Protocol> Watched for Shared<W> {
    /// Lets go of a thread that is stuck, answers for it, and starts another.
    fn look_after(self: Arc<Self>) {
        let mut state = self.state();
        if !state.running || !self.watchdog.is_overdue() {
            return;
        }
        let error = Error::unavailable(format!("{} does not answer", self.protocol.name()));
        state.generation += 1;
        // Should it be a caller who is stuck, the thread waits for the connection.
        self.queued.notify_all();
        state.down = Some(error.clone());
        self.watchdog.disarm();
        if !state.closed {
            self.start(&mut state);
        }
        self.refuse(state, &error);
        self.protocol.lost(&error);
        self.protocol.down(&error);
    }
}

/// Has the process's watching thread look after a link, for as long as it lives.
pub(super) fn look_after(link: Weak<dyn Watched>) {
    static LINKS: OnceLock<Mutex<Vec<Weak<dyn Watched>>>> = OnceLock::new();
    const INTERVAL: Duration = Duration::from_millis(500);

    let mut first = false;
    let links = LINKS.get_or_init(|| {
        first = true;
        Mutex::default()
    });
    links
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(link);
    if !first {
        return;
    }
    let spawned = thread::Builder::new()
        .name("worksharing watch".into())
        .spawn(move || {
            loop {
                thread::sleep(INTERVAL);
                let mut links = links.lock().unwrap_or_else(PoisonError::into_inner);
                links.retain(|link| link.strong_count() > 0);
                let live: Vec<_> = links.iter().filter_map(Weak::upgrade).collect();
                drop(links);
                live.into_iter().for_each(Watched::look_after);
            }
        });
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread can be started: a server that hangs is not noticed");
    }
}
