//! What a worker tells on its standard output.

use std::io::{self, Write as _};
use std::process;
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use crate::now_us;
use crate::plan::Event;

/// Tells when the others have been served: a thousand lines of JSON would hold them up.
pub(super) fn tell_later(event: Event) {
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

pub(super) fn tell(event: &Event) {
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
