//! Starts the processes and listens to them.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
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

/// Runs the herd. Returns what happened, and the most PostgreSQL connections there were.
pub(crate) fn run(
    options: &Options,
    paint: &Paint,
) -> Result<(Record, Option<Connections>), Trouble> {
    let scratch = tempfile::tempdir()?;
    let postgres = options.postgres.as_deref().map(connections::name);
    let report = format!("{}-{}", std::process::id(), now_us(SystemTime::now()));
    let (tell, told) = channel();
    let mut children = Vec::new();
    for number in 0..options.processes {
        let mut command = command(options, number, &report)?;
        if let Some((url, _)) = &postgres {
            command.env("WORKSHARING_POSTGRES_URL", url);
        } else if !options.memory {
            command.env(
                "WORKSHARING_DIRECTORY",
                options.directory.as_deref().unwrap_or(scratch.path()),
            );
        }
        children.push(start(command, number, &tell)?);
    }
    drop(tell);
    await_ready(&mut children, &told)?;
    let count = postgres.map(|(url, name)| connections::watch(url, name));
    let start = now_us(SystemTime::now()) + 50_000;
    for child in &mut children {
        let mut stdin = child.stdin.take().ok_or("a process has no input")?;
        writeln!(stdin, "{start}")?;
    }
    let record = listen(options, &told, paint);
    for mut child in children {
        child.wait()?;
    }
    Ok((record, count.and_then(connections::Watch::finish)))
}

/// This program again. Where values and locks are, it reads from the environment, as services do.
fn command(options: &Options, number: usize, report: &str) -> Result<Command, Trouble> {
    let mut command = Command::new(env::current_exe()?);
    command
        .args(["--member", &number.to_string(), report])
        .args(["--callers", &options.callers.to_string()])
        .args(["--body", &format!("{}s", options.body.as_secs_f64())])
        .args(["--spread", &format!("{}s", options.spread().as_secs_f64())])
        .env_remove("DATABASE_URL")
        .env_remove("REDIS_URL");
    for name in ["POSTGRES_URL", "REDIS_URL", "DIRECTORY", "NAMESPACE"] {
        command.env_remove(format!("WORKSHARING_{name}"));
    }
    if let Some(url) = &options.redis {
        command.env("WORKSHARING_REDIS_URL", url);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(command)
}

fn start(mut command: Command, number: usize, tell: &Sender<Told>) -> Result<Child, Trouble> {
    let mut child = command.spawn()?;
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
            call_off(children)?;
            return Err(format!("a process could not start:{trouble}").into());
        }
    }
    Ok(())
}

/// They end when their input does.
fn call_off(children: &mut [Child]) -> Result<(), Trouble> {
    for child in &mut *children {
        drop(child.stdin.take());
    }
    for child in children {
        child.wait()?;
    }
    Ok(())
}

fn listen(options: &Options, told: &Receiver<Told>, paint: &Paint) -> Record {
    let mut record = Record::new(options.processes, options.callers);
    let mut running = options.processes;
    while running > 0 {
        match told.recv_timeout(Duration::from_millis(50)) {
            Ok((process, Some(line))) => record.take(process, &line),
            Ok((_, None)) => running -= 1,
            Err(RecvTimeoutError::Timeout) => drawing::progress(&record, paint),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    paint.clear_line();
    record
}
