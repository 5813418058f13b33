//! Who computes and who waits, live, on one page: a timeline by process, the hit rate, the errors, and a button that
//! invalidates a key.
//!
//! ```text
//! cargo run --release --example dashboard             # no server: processes of its own, as a demonstration
//!
//! export WORKSHARING_POSTGRES_URL=postgres://user:password@db.internal/app    # as the services that are looked at
//! cargo run --release --example dashboard -- --listen 127.0.0.1:8300
//! ```
//!
//! Two things are shown together. What is computed, in whatever process, comes from `WorkSharing::computing` (`watch.rs`):
//! computations that have lasted for a second or so. What only a process itself knows, its numbers and who waits in
//! it, the process tells by itself (`reporter.rs`, to be copied into a service; here `worker.rs` has it).
//!
//! The page is the files beside this one that are not Rust. It loads nothing from elsewhere. Whoever can reach it can invalidate, so it
//! listens on this machine alone unless it is told otherwise; other sites' pages cannot (`guard.rs`).

mod guard;
mod history;
mod options;
mod pages;
#[path = "../shared/place.rs"]
mod place;
mod reporter;
mod told;
mod watch;
mod worker;
mod workers;

use std::env;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;

use history::History;
use options::{Options, Role};

/// What went wrong, for people.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let done = match options::read(env::args().skip(1)) {
        Ok(Role::Help) => {
            print!("{}", options::HELP);
            Ok(())
        }
        Ok(Role::Worker(reports_to)) => worker::run(&reports_to).await,
        Ok(Role::Dashboard(options)) => serve(&options).await,
        Err(trouble) => Err(trouble),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("dashboard: {trouble}");
            ExitCode::from(2)
        }
    }
}

async fn serve(options: &Options) -> Result<(), Trouble> {
    let sharing = place::open()?;
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}; see --listen", options.listen))?;
    let address = listener.local_addr()?;
    let history = Arc::new(Mutex::new(History::new(place::describe())));
    let watcher = tokio::spawn(watch::watch(sharing.clone(), Arc::clone(&history)));
    let workers = workers::start(options.workers(), address.port())?;
    println!("The dashboard is at http://{address}");
    if !address.ip().is_loopback() {
        println!("Whoever can reach it can see and invalidate keys.");
    }
    let pages = pages::router(sharing, history);
    axum::serve(listener, pages)
        .with_graceful_shutdown(asked_to_end())
        .await?;
    watcher.abort();
    drop(workers);
    Ok(())
}

/// Ctrl-C, or what a service manager sends.
async fn asked_to_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    // Where it cannot be listened for, it ends the process at once.
    let _ = tokio::signal::ctrl_c().await;
}
