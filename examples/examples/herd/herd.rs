//! Starts the processes and listens to them.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::Trouble;
use crate::connections::{self, Connections};
use crate::drawing;
use crate::options::Options;
use crate::paint::Paint;
use crate::record::{Record, now_us};

/// A line that a process told, or `None` at its end.
type Told = (usize, Option<String>);

/// What the environment may say and this program has read already, or does not want to know.
const NOT_OURS: [&str; 6] = [
    "DATABASE_URL",
    "REDIS_URL",
    "WORKSHARING_POSTGRES_URL",
    "WORKSHARING_REDIS_URL",
    "WORKSHARING_DIRECTORY",
    "WORKSHARING_NAMESPACE",
];

/// Runs the herd. Returns what happened, and the most PostgreSQL connections there were.
pub(crate) fn run(
    options: &Options,
    paint: &Paint,
) -> Result<(Record, Option<Connections>), Trouble> {
    let scratch = tempfile::tempdir()?;
    let postgres = options.postgres.as_deref().map(connections::name);
    let url = postgres.as_ref().map(|(url, _)| url.as_str());
    let backend = backend(options, url, scratch.path());
    let (mut children, told) = start_all(options, &backend)?;
    await_ready(&mut children, &told)?;
    let count = postgres.map(|(url, name)| connections::watch(url, name));
    let start = now_us(SystemTime::now()) + 50_000;
    for child in &mut children {
        let stdin = child.stdin.as_mut().ok_or("a process has no input")?;
        writeln!(stdin, "{start}")?;
    }
    let record = listen(options, &told, paint);
    end(&mut children)?;
    Ok((record, count.and_then(connections::Watch::finish)))
}

/// Where values and locks are. The processes read it from the environment, as services do.
fn backend<'a>(
    options: &'a Options,
    postgres: Option<&'a str>,
    scratch: &'a Path,
) -> Vec<(&'static str, &'a OsStr)> {
    let mut backend = Vec::new();
    if let Some(url) = postgres {
        backend.push(("WORKSHARING_POSTGRES_URL", OsStr::new(url)));
    } else if !options.memory {
        let directory = options.directory.as_deref().unwrap_or(scratch);
        backend.push(("WORKSHARING_DIRECTORY", directory.as_os_str()));
    }
    if let Some(url) = &options.redis {
        backend.push(("WORKSHARING_REDIS_URL", OsStr::new(url)));
    }
    backend
}

/// This program again, for each process.
fn start_all(
    options: &Options,
    backend: &[(&str, &OsStr)],
) -> Result<(Vec<Child>, Receiver<Told>), Trouble> {
    let report = format!("{}-{}", std::process::id(), now_us(SystemTime::now()));
    let (tell, told) = channel();
    let mut children = Vec::new();
    for number in 0..options.processes {
        let mut command = Command::new(env::current_exe()?);
        command
            .args(["--member", &number.to_string(), &report])
            .args(["--callers", &options.callers.to_string()])
            .args(["--body", &format!("{}s", options.body.as_secs_f64())])
            .args(["--spread", &format!("{}s", options.spread().as_secs_f64())]);
        for name in NOT_OURS {
            command.env_remove(name);
        }
        command.envs(backend.iter().copied());
        children.push(start(command, number, &tell)?);
    }
    Ok((children, told))
}

fn start(mut command: Command, number: usize, tell: &Sender<Told>) -> Result<Child, Trouble> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().ok_or("a process has no output")?;
    let tell = tell.clone();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = tell.send((number, Some(line)));
        }
        let _ = tell.send((number, None));
    });
    Ok(child)
}

/// Until all runtimes are built and checked, so that the callers start together.
fn await_ready(children: &mut [Child], told: &Receiver<Told>) -> Result<(), Trouble> {
    let mut ready = 0;
    while ready < children.len() {
        let (_, line) = told.recv()?;
        let line = line.unwrap_or("trouble".to_owned());
        if line.starts_with("ready") {
            ready += 1;
        } else if let Some(trouble) = line.strip_prefix("trouble") {
            end(children)?;
            return Err(format!("a process could not start:{trouble}").into());
        }
    }
    Ok(())
}

/// They end when their input does.
fn end(children: &mut [Child]) -> Result<(), Trouble> {
    for child in &mut *children {
        drop(child.stdin.take());
    }
    for child in children {
        child.wait()?;
    }
    Ok(())
}

/// Until the callers of all processes are served, or their processes gone.
fn listen(options: &Options, told: &Receiver<Told>, paint: &Paint) -> Record {
    let mut record = Record::new(options.processes, options.callers);
    let mut running: BTreeSet<_> = (0..options.processes).collect();
    while !running.is_empty() {
        match told.recv_timeout(Duration::from_millis(50)) {
            Ok((process, Some(line))) => {
                record.take(process, &line);
                if line.starts_with("done") {
                    running.remove(&process);
                }
            }
            Ok((process, None)) => drop(running.remove(&process)),
            Err(RecvTimeoutError::Timeout) => drawing::progress(&record, paint),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    paint.clear_line();
    record
}
