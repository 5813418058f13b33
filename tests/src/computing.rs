use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use worksharing::WorkSharing;

use crate::ends_within;

/// A computation in this process that goes on until it is ended.
#[derive(Debug)]
pub struct Computing {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Computing {
    /// Begins to compute a key, by a function of this name.
    pub fn begin(sharing: &WorkSharing, key: &str, function: &'static str) -> Self {
        let (begin, begun) = channel();
        let (end, ends) = channel();
        let work = sharing.work(key).name(function);
        let body = move || {
            begin.send(()).expect("somebody waits for it");
            // Told to end, or by a test that has failed.
            let _ = ends.recv();
            "a value".to_owned()
        };
        let thread = thread::spawn(move || {
            work.ttl(Duration::from_secs(600)).run_blocking(body);
        });
        begun.recv().expect("it computes");
        Self { end, thread }
    }

    /// Ends it, and returns when its value is stored.
    pub fn end(self) {
        drop(self.end);
        let thread = self.thread;
        ends_within(Duration::from_secs(30), || thread.join()).expect("it does not panic");
    }
}
