//! Tells the dashboard what this process knows alone: its numbers, and which of its callers wait. A service may have
//! this too; nothing of the dashboard's is needed for the rest.

use std::io::{self, Read as _, Write as _};
use std::mem::take;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use worksharing::WorkSharing;

use crate::told::{Counted, Report, Step, Told, millis};

/// How long what happened stays untold.
const INTERVAL: Duration = Duration::from_millis(250);
/// More than this is not kept while the dashboard is away.
const MOST_UNTOLD: usize = 10_000;

#[derive(Clone, Default)]
pub(crate) struct Reporter {
    untold: Arc<Mutex<Vec<Told>>>,
    last: Arc<AtomicU64>,
}

/// A call that is told of. It is answered when this is dropped.
pub(crate) struct Reported {
    reporter: Reporter,
    number: u64,
}

impl Reporter {
    /// Tells it from now on. A dashboard that is not there costs nothing but the attempt.
    pub(crate) fn start(dashboard: SocketAddr, sharing: WorkSharing) -> io::Result<Self> {
        let reporter = Self::default();
        let teller = reporter.clone();
        let mut report = Report {
            process: std::process::id(),
            host: host(),
            now: 0,
            calls: Vec::new(),
            counted: Counted::default(),
        };
        thread::Builder::new().spawn(move || {
            loop {
                report.counted = Counted::by(&sharing);
                report.now = millis(SystemTime::now());
                report.calls = take(&mut *teller.untold());
                // What could not be told is of no use later.
                let _ = send(dashboard, &report);
                thread::sleep(INTERVAL);
            }
        })?;
        Ok(reporter)
    }

    pub(crate) fn call(&self, function: &str, key: &str) -> Reported {
        let reported = Reported {
            reporter: self.clone(),
            number: self.last.fetch_add(1, Ordering::Relaxed),
        };
        let (key, function) = (key.to_owned(), function.to_owned());
        reported.tell(Step::Called { key, function });
        reported
    }

    fn untold(&self) -> std::sync::MutexGuard<'_, Vec<Told>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reported {
    pub(crate) fn body_begins(&self) {
        self.tell(Step::BodyBegins);
    }

    pub(crate) fn body_ends(&self, well: bool) {
        self.tell(Step::BodyEnds { well });
    }

    fn tell(&self, step: Step) {
        let mut untold = self.reporter.untold();
        if untold.len() < MOST_UNTOLD {
            untold.push(Told {
                call: self.number,
                step,
                at: millis(SystemTime::now()),
            });
        }
    }
}

impl Drop for Reported {
    fn drop(&mut self) {
        self.tell(Step::Answered);
    }
}

/// The name of this machine, as the runtime tells it.
fn host() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    name
}

fn send(dashboard: SocketAddr, report: &Report) -> io::Result<()> {
    let body = serde_json::to_string(report)?;
    let mut connection = TcpStream::connect_timeout(&dashboard, INTERVAL)?;
    connection.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(
        connection,
        "POST /tell HTTP/1.1\r\nHost: {dashboard}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    connection.read_to_end(&mut Vec::new())?;
    Ok(())
}
