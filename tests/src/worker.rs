use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command as Program, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getrlimit, kill_process, kill_process_group, prlimit,
};
use serde::Serialize;

use crate::plan::{Command, Event, List, Run, Setup};
use crate::{Guardian, Resources, Shim, Timeline, wait_until};

mod questions;

/// How long a worker may take to answer on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process of its own that calls `worksharing` as it is told.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    stdin: ChildStdin,
    told: Arc<Mutex<Told>>,
}

/// What a worker has told so far.
#[derive(Debug, Default)]
struct Told {
    events: Vec<Event>,
    logged: Vec<String>,
    /// Its process is gone.
    ended: bool,
}

impl Worker {
    /// Starts the program (`env!("CARGO_BIN_EXE_worker")`) and waits until its runtime is built.
    pub fn start(program: &str, setup: &Setup) -> Self {
        let worker = Self::spawn(program, setup, None);
        worker.await_ready();
        worker
    }

    /// Starts one whose process loads this library first.
    pub fn start_with(program: &str, setup: &Setup, shim: &Shim) -> Self {
        let worker = Self::spawn(program, setup, Some(shim));
        worker.await_ready();
        worker
    }

    /// Starts several, all at once.
    pub fn start_many(count: usize, program: &str, setup: &Setup) -> Vec<Self> {
        let workers: Vec<_> = (0..count)
            .map(|_| Self::spawn(program, setup, None))
            .collect();
        workers.iter().for_each(Self::await_ready);
        workers
    }

    fn spawn(program: &str, setup: &Setup, shim: Option<&Shim>) -> Self {
        assert!(Path::new(program).is_file(), "{program} is not built");
        let mut command = Program::new(program);
        // For a program that can be something else, too.
        command.arg("worker");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(shim) = shim {
            shim.load_into(&mut command);
        }
        let mut child = command.spawn().expect("cannot start a worker");
        Guardian::of_this_process().watch(child.id(), "KILL");
        let told = Arc::<Mutex<Told>>::default();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (heard, logged) = (Arc::clone(&told), Arc::clone(&told));
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).for_each(|line| {
                let event =
                    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                heard.lock().unwrap().events.push(event);
            });
            heard.lock().unwrap().ended = true;
        });
        thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| {
                if !is_detail(&line) {
                    eprintln!("{line}");
                }
                logged.lock().unwrap().logged.push(line);
            })
        });
        let mut worker = Self {
            stdin: child.stdin.take().unwrap(),
            child,
            told,
        };
        worker.write(setup);
        worker
    }

    fn await_ready(&self) {
        let trouble = self.answer(0, "ready", |event| match event {
            Event::Ready(trouble) => Some(trouble.clone()),
            _ => None,
        });
        assert_eq!(trouble, None, "the worker's runtime is not built");
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Starts callers; [`wait`](Self::wait) waits for them.
    pub fn run(&mut self, run: &Run) {
        self.write(&Command::Run(run.clone()));
    }

    /// Starts one caller, behind which the process flushes what is queued, and ends.
    pub fn run_and_leave(&mut self, run: &Run) {
        self.write(&Command::RunAndLeave(run.clone()));
    }

    /// Starts a caller of many keys.
    pub fn list(&mut self, list: &List) {
        self.write(&Command::List(list.clone()));
    }

    /// What it told so far.
    pub fn events(&self) -> Vec<Event> {
        self.told.lock().unwrap().events.clone()
    }

    /// What it told since the last time it was asked.
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.told.lock().unwrap().events)
    }

    /// What it told before its end since the last time it was asked, to the last line.
    pub fn last_events(&self) -> Vec<Event> {
        wait_until(PATIENCE, "everything it told is read", || {
            self.told.lock().unwrap().ended
        });
        self.take_events()
    }

    /// What it logged so far.
    pub fn logged(&self) -> Vec<String> {
        self.told.lock().unwrap().logged.clone()
    }

    /// What it logged so far, at `WARN` and worse.
    pub fn warnings(&self) -> Vec<String> {
        let mut logged = self.logged();
        logged.retain(|line| line.contains("WARN") || line.contains("ERROR"));
        logged
    }

    /// What it logged since the last time it was asked.
    pub fn take_logged(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap().logged)
    }

    /// What its process has now of what must not grow.
    pub fn resources(&self) -> Resources {
        Resources::of(self.pid())
    }

    /// Whether its process has not ended.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("cannot wait").is_none()
    }

    /// Runs something while its process can open no file and no socket. (Linux.)
    pub fn without_descriptors<T>(&self, run: impl FnOnce() -> T) -> T {
        let pid = Some(Pid::from_child(&self.child));
        let set = |limit| prlimit(pid, Resource::Nofile, limit).expect("cannot set the limit");
        let usual = getrlimit(Resource::Nofile);
        set(Rlimit {
            current: Some(0),
            ..usual
        });
        let done = run();
        set(usual);
        done
    }

    /// Waits until as many callers have called as have been served.
    pub fn wait(&self, callers: usize) {
        let what = format!("{callers} callers of process {} are served", self.pid());
        wait_until(2 * PATIENCE, &what, || {
            Timeline::of([self]).served() >= callers
        });
    }

    /// Ends it as `kill -9` does.
    pub fn kill9(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("cannot wait");
    }

    /// Asks it to end, as whoever deploys a service does.
    pub fn sigterm(&self) {
        self.signal(Signal::TERM);
    }

    /// Freezes it.
    pub fn sigstop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn sigcont(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("cannot signal the worker");
    }

    fn write(&mut self, line: &impl Serialize) {
        let line = serde_json::to_string(line).unwrap();
        writeln!(self.stdin, "{line}").expect("the worker is gone");
    }
}

/// Whether a line is logged below `WARN`. What is not logged at all, such as a panic, is no detail.
fn is_detail(line: &str) -> bool {
    let level = line.split_whitespace().nth(1);
    level.is_some_and(|level| ["TRACE", "DEBUG", "INFO"].contains(&level))
}

impl Drop for Worker {
    fn drop(&mut self) {
        // With what it may have forked off.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
        Guardian::of_this_process().forget(self.child.id(), "KILL");
    }
}
