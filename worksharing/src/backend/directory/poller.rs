//! The thread that looks for what other processes do while somebody waits for it.

use std::process;
use std::sync::{Arc, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::Error;
use crate::backend::notify::{Notify, Subscription};
use crate::sync::{Mutex, lock};

/// How often it is looked: at first, and at the longest. The latter is also how long a takeover takes when the holder
/// of a lock is killed.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(25);
/// How long the looking thread stays when nobody waits.
const LINGER: Duration = Duration::from_secs(1);

/// What other processes change without telling us.
pub(super) trait Polled: Send + Sync + 'static {
    fn poller(&self) -> &Poller;

    /// Whether those who wait for this are to be woken.
    fn may_be_free(&self, digest: &[u8; 16]) -> bool;
}

#[derive(Debug, Default)]
pub(super) struct Poller {
    pub(super) notify: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The looking thread and its process: a fork takes no threads along.
    runs: Option<(u32, Thread)>,
    /// When somebody last began to wait.
    fresh: Option<Instant>,
}

impl Poller {
    /// Makes sure that a thread looks for this, among others, and wakes the subscription.
    pub(super) fn subscribe<P: Polled>(
        polled: &Arc<P>,
        digest: [u8; 16],
    ) -> Result<Subscription, Error> {
        let poller = polled.poller();
        let subscription = poller.notify.subscribe(digest);
        let mut state = lock(&poller.state);
        state.fresh = Some(Instant::now());
        match &state.runs {
            Some((process, thread)) if *process == process::id() => thread.unpark(),
            _ => state.runs = Some((process::id(), start(Arc::downgrade(polled))?)),
        }
        Ok(subscription)
    }
}

fn start<P: Polled>(polled: Weak<P>) -> Result<Thread, Error> {
    let thread = thread::Builder::new().name("worksharing-dir".to_owned());
    let started = thread.spawn(move || look(&polled));
    let started = started.map_err(|error| {
        Error::unavailable("cannot start the thread that waits for file locks").caused_by(error)
    })?;
    Ok(started.thread().clone())
}

fn look<P: Polled>(polled: &Weak<P>) {
    let mut pause = SHORTEST;
    let mut begun = Instant::now();
    loop {
        thread::park_timeout(pause);
        let Some(polled) = polled.upgrade() else {
            return;
        };
        let poller = polled.poller();
        let keys = poller.notify.keys();
        for key in keys.iter().filter(|key| polled.may_be_free(key)) {
            poller.notify.wake(key);
        }
        pause = (pause * 3 / 2).min(LONGEST);
        let mut state = lock(&poller.state);
        if let Some(fresh) = state.fresh.take() {
            (pause, begun) = (SHORTEST, fresh);
        } else if !keys.is_empty() {
            begun = Instant::now();
        } else if begun.elapsed() > LINGER {
            state.runs = None;
            return;
        }
    }
}
