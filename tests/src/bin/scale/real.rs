//! Processes for real, but for their memory: each a runtime with sessions and threads of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tests::{wait_until, whole};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use worksharing::WorkSharing;

use crate::plan::Plan;
use crate::server::Server;
use crate::{Fleet, HERD, LIMIT};

/// As many processes' worth of runtimes.
pub(crate) struct Real {
    runtime: Runtime,
    sharings: Vec<WorkSharing>,
    /// How many keys they hold in all.
    held: usize,
    /// How many calls are under way.
    running: Arc<AtomicUsize>,
    /// What is over: bodies run for as long as their state lasts.
    over: watch::Sender<Option<State>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// All wait for one key.
    Waiting,
    /// Each holds keys of its own.
    Holding,
}

/// So many connect at a time.
const TOGETHER: usize = 8;

impl Real {
    pub(crate) fn start(server: &Server, processes: usize, plan: &Plan) -> Self {
        Self::at(server, &server.url(), processes, plan.held, plan.idle)
    }

    /// Processes whose sessions are not counted among the others.
    pub(crate) fn witnesses(server: &Server, processes: usize) -> Self {
        let url = format!("{}?application_name=the%20test", server.url());
        Self::at(server, &url, processes, 0, Duration::MAX)
    }

    fn at(server: &Server, url: &str, processes: usize, held: usize, idle: Duration) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let build = |_| {
            let builder = WorkSharing::builder().postgres(url).idle_disconnect(idle);
            let built = builder.store(server.values()).build();
            built.unwrap_or_else(|error| panic!("{}", whole(&error)))
        };
        let real = Self {
            runtime: runtime.expect("cannot start tokio"),
            sharings: (0..processes).map(build).collect(),
            held: held * processes,
            running: Arc::default(),
            over: watch::channel(None).0,
        };
        real.connect();
        for number in 0..processes {
            let hold = |at| real.run(number, format!("{number} {at}"), State::Holding);
            (0..held).for_each(hold);
        }
        let wanted = held * processes;
        wait_until(LIMIT, "all keys are held", || server.held_keys() == wanted);
        real
    }

    fn connect(&self) {
        for sharings in self.sharings.chunks(TOGETHER) {
            thread::scope(|scope| {
                for sharing in sharings {
                    scope.spawn(|| wait_until(LIMIT, "it connects", || sharing.check().is_ok()));
                }
            });
        }
    }

    /// Has a process compute a key, or wait for it, until that state is over.
    fn run(&self, process: usize, key: String, state: State) {
        let (sharing, mut over) = (self.sharings[process].clone(), self.over.subscribe());
        let running = Arc::clone(&self.running);
        running.fetch_add(1, Ordering::Relaxed);
        self.runtime.spawn(async move {
            let body = async || drop(over.wait_for(|over| *over >= Some(state)).await);
            let work = sharing.work(key).ttl(Duration::from_secs(600));
            work.run(body).await;
            running.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// The first process holds what all wait for.
    pub(crate) fn hold_for_all(&self, server: &Server) {
        let before = server.held_keys();
        self.run(0, HERD.to_owned(), State::Waiting);
        wait_until(LIMIT, "it holds the key", || server.held_keys() > before);
    }

    /// The last one waits for it.
    pub(crate) fn wait_with_all(&self) {
        self.run(self.sharings.len() - 1, HERD.to_owned(), State::Waiting);
    }

    /// It lets go of it.
    pub(crate) fn release(&self) {
        self.over.send_replace(Some(State::Waiting));
    }
}

impl Fleet for Real {
    fn begin_to_wait(&mut self) {
        (0..self.sharings.len()).for_each(|it| self.run(it, HERD.to_owned(), State::Waiting));
    }

    fn heard(&self) -> Option<usize> {
        None
    }

    fn waits(&self) -> bool {
        self.running.load(Ordering::Relaxed) > self.held
    }

    fn end(&mut self) {
        self.over.send_replace(Some(State::Holding));
        let running = || self.running.load(Ordering::Relaxed);
        wait_until(LIMIT, "all bodies end", || running() == 0);
    }
}
