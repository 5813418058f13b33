mod caller;
mod feats;
mod lists;
mod options;
mod tell;

use std::time::Duration;
use std::{fmt, io, panic, process};

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use worksharing::{Builder, PostgresLock, WorkSharing};

use self::caller::{Value, begin_to_invalidate, run_and_leave, runtime, start};
use self::feats::{cancel, churn, fork, give_up};
use self::tell::tell;
use crate::plan::{Command, Event, Setup};
use crate::{now_us, whole};

/// What a worker does: builds a runtime and calls it as its standard input says, and tells on its standard
/// output what happened when. Ends with its standard input.
pub fn worker_main() {
    let mut lines = io::stdin().lines().map_while(Result::ok);
    let setup: Setup = serde_json::from_str(&lines.next().expect("the setup")).expect("a setup");
    begin_to_log(setup.log.as_deref().unwrap_or("warn"));
    if setup.abort_on_panic {
        panic::set_hook(Box::new(|panic| {
            eprintln!("{panic}");
            process::abort();
        }));
    }
    let sharing = match build(&setup) {
        Ok(sharing) => sharing,
        Err(error) => return tell(&Event::Ready(Some(whole(&error)))),
    };
    if let Some(time) = setup.drains_for {
        drain_on_sigterm(sharing.clone(), time);
    }
    tell(&Event::Ready(None));
    for line in lines {
        let command = serde_json::from_str(&line).expect("a command");
        obey(&setup, &sharing, command);
    }
}

/// Ends as a service does: what is under way is finished first, and it is told whether it was.
fn drain_on_sigterm(sharing: WorkSharing, time: Duration) {
    let _entered = runtime().enter();
    let mut sigterm = signal(SignalKind::terminate()).expect("cannot listen for SIGTERM");
    runtime().spawn(async move {
        sigterm.recv().await;
        tell_trouble(sharing.drain(time).await);
        process::exit(0);
    });
}

fn begin_to_log(filter: &str) {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(io::stderr)
        .with_env_filter(filter)
        .with_timer(Monotonic)
        .init();
}

/// Log lines begin with the time of [`now_us`], to be compared with that of events.
struct Monotonic;

impl FormatTime for Monotonic {
    fn format_time(&self, line: &mut Writer<'_>) -> fmt::Result {
        write!(line, "{}", now_us())
    }
}

fn build(setup: &Setup) -> Result<WorkSharing, worksharing::Error> {
    build_from(setup, WorkSharing::builder())
}

fn build_from(setup: &Setup, mut builder: Builder) -> Result<WorkSharing, worksharing::Error> {
    if let Some(url) = &setup.postgres {
        builder = builder.postgres(url);
    }
    if let Some(url) = &setup.redis {
        builder = builder.redis(url);
    }
    if let Some(url) = &setup.lock_url {
        builder = builder.lock_url(url);
    }
    if !setup.lock_servers.is_empty() {
        builder = builder.lock_servers(&setup.lock_servers);
    }
    if let Some(path) = &setup.directory {
        builder = builder.directory(path);
    }
    if let Some(count) = setup.max_held_keys {
        builder = builder.max_held_keys(count);
    }
    if let Some(bytes) = setup.max_value_bytes {
        builder = builder.max_value_bytes(bytes);
    }
    if let Some(time) = setup.tombstone_ttl {
        builder = builder.tombstone_ttl(time);
    }
    builder = builder.transactional_invalidation(setup.transactional_invalidation);
    if let Some(time) = setup.max_local_age {
        builder = builder.max_local_age(time);
    }
    match setup.lock.as_deref() {
        Some("session") => builder = builder.postgres_lock(PostgresLock::Session),
        Some("lease") => builder = builder.postgres_lock(PostgresLock::Lease),
        _ => {}
    }
    builder.build()
}

fn obey(setup: &Setup, sharing: &WorkSharing, command: Command) {
    match command {
        Command::Run(run) => start(sharing, &run),
        Command::RunAndLeave(run) => run_and_leave(sharing, &run),
        Command::List(list) => lists::begin(sharing.clone(), list),
        Command::Check => tell_trouble(sharing.check()),
        Command::Stats => tell(&Event::Stats(sharing.stats().into())),
        Command::Computing => {
            let computing = sharing.computing_blocking();
            let computing = computing.map(|all| all.into_iter().map(Into::into).collect());
            tell(&Event::Computing(computing.map_err(|error| whole(&error))));
        }
        Command::Peek(key) => {
            let value = sharing.work::<Value>(key).peek_blocking();
            tell(&Event::Peeked(value.flatten()));
        }
        Command::Invalidate(scope, name) => begin_to_invalidate(sharing.clone(), scope, name),
        Command::Churn(runtimes) => tell_trouble(churn(setup, runtimes)),
        Command::GiveUp(callers) => tell_trouble(give_up(setup, callers)),
        Command::Cancel(callers) => {
            cancel(sharing, callers);
            tell_trouble(Ok(()));
        }
        Command::Fork(key) => fork(sharing, &key),
    }
}

fn tell_trouble(result: Result<(), worksharing::Error>) {
    tell(&Event::Checked(result.err().map(|error| whole(&error))));
}
