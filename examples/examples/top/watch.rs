//! Asks once a second, in a thread of its own: the view goes on while a server is slow.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use worksharing::{Computation, WorkSharing};

const INTERVAL: Duration = Duration::from_secs(1);

pub(crate) enum News {
    /// What is being computed.
    List(Vec<Computation>, Instant),
    /// Why that is not known.
    Trouble(String),
    /// The process was asked to end.
    End,
}

pub(crate) fn start(sharing: WorkSharing) -> io::Result<Receiver<News>> {
    let (tell, news) = channel();
    let tell_end = tell.clone();
    thread::Builder::new().spawn(move || ask(&sharing, &tell))?;
    thread::Builder::new().spawn(move || await_signal(&tell_end))?;
    Ok(news)
}

/// Until nobody listens any more.
fn ask(sharing: &WorkSharing, tell: &Sender<News>) {
    loop {
        let asked = Instant::now();
        let news = match sharing.computing_blocking() {
            Ok(list) => News::List(list, Instant::now()),
            Err(error) => News::Trouble(whole(&error)),
        };
        if tell.send(news).is_err() {
            return;
        }
        thread::sleep(INTERVAL.saturating_sub(asked.elapsed()));
    }
}

/// An error and its causes, in one line.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut whole = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        whole = format!("{whole}: {error}");
        cause = error.source();
    }
    whole.replace('\n', " ")
}

/// A signal would end the process and leave the terminal as it is. (Ctrl-C is a key here, and no signal.)
fn await_signal(tell: &Sender<News>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        let builder = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        // Where it cannot be listened for, it ends the process at once.
        let Ok(runtime) = builder else { return };
        runtime.block_on(async {
            let signals = (
                signal(SignalKind::terminate()),
                signal(SignalKind::hangup()),
            );
            let (Ok(mut terminate), Ok(mut hangup)) = signals else {
                return;
            };
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            // If nobody listens, it ends anyway.
            let _ = tell.send(News::End);
        });
    }
    #[cfg(not(unix))]
    let _ = tell;
}
