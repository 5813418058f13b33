//! The thread that looks for the releases of other processes while somebody waits.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::Files;
use crate::Error;
use crate::sync::lock;

/// How often another process's release is looked for: at first, and at the longest. The latter is
/// also how long a takeover takes when the holder is killed.
const SHORTEST: Duration = Duration::from_millis(2);
const LONGEST: Duration = Duration::from_millis(25);
/// How long the looking thread stays when nobody waits.
const LINGER: Duration = Duration::from_secs(1);
#[derive(Debug, Default)]
pub(super) struct Poller {
    running: bool,
    /// When somebody last began to wait.
    fresh: Option<Instant>,
}

/// Makes sure that a thread looks for the releases of other processes.
pub(super) fn poll(files: &Arc<Files>) -> Result<(), Error> {
    let mut poller = lock(&files.poller);
    poller.fresh = Some(Instant::now());
    if poller.running {
        return Ok(());
    }
    let weak = Arc::downgrade(files);
    let thread = thread::Builder::new().name("worksharing-dir".to_owned());
    thread.spawn(move || look(&weak)).map_err(|error| {
        Error::unavailable("cannot start the thread that waits for file locks").caused_by(error)
    })?;
    poller.running = true;
    Ok(())
}

fn look(files: &Weak<Files>) {
    let mut pause = SHORTEST;
    let mut begun = Instant::now();
    loop {
        thread::sleep(pause);
        let Some(files) = files.upgrade() else { return };
        let keys = files.notify.keys();
        for key in keys.iter().filter(|key| files.is_free(key)) {
            files.notify.wake(key);
        }
        pause = (pause * 3 / 2).min(LONGEST);
        let mut poller = lock(&files.poller);
        if let Some(fresh) = poller.fresh.take() {
            (pause, begun) = (SHORTEST, fresh);
        } else if !keys.is_empty() {
            begun = Instant::now();
        } else if begun.elapsed() > LINGER {
            poller.running = false;
            return;
        }
    }
}
