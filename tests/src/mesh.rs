use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::plan::{Run, Setup};
use crate::{
    PostgresServer, RedisKind, RedisServer, Timeline, Worker, WorkerStats, now_us, wait_until,
};

/// The two servers of the main case.
#[derive(Debug)]
pub struct Servers {
    /// Locks.
    pub postgres: PostgresServer,
    /// Values.
    pub redis: RedisServer,
}

impl Servers {
    /// Starts both.
    pub fn start() -> Self {
        Self::with(RedisKind::Redis)
    }

    /// Starts both, with values in this.
    pub fn with(kind: RedisKind) -> Self {
        Self {
            postgres: PostgresServer::start(),
            redis: RedisServer::of(kind),
        }
    }

    /// A runtime on both.
    pub fn setup(&self) -> Setup {
        Setup {
            postgres: Some(self.postgres.url()),
            redis: Some(self.redis.url()),
            ..Setup::default()
        }
    }

    /// A runtime on both, where transactions may invalidate.
    pub fn transactional(&self) -> Setup {
        Setup {
            transactional_invalidation: true,
            ..self.setup()
        }
    }

    /// A runtime on both that locks by lease rows.
    pub fn leases(&self) -> Setup {
        Setup {
            lock: Some("lease".to_owned()),
            ..self.setup()
        }
    }
}

impl Setup {
    /// A runtime on a directory.
    pub fn in_directory(path: &Path) -> Self {
        Self {
            directory: Some(path.to_owned()),
            ..Self::default()
        }
    }

    /// A runtime on PostgreSQL alone.
    pub fn on_postgres(url: String) -> Self {
        Self {
            postgres: Some(url),
            ..Self::default()
        }
    }
}

/// Runs a test with the backends of the main case, and with those of one machine.
pub fn on_each_setup(test: impl Fn(&Setup)) {
    let servers = Servers::start();
    test(&servers.setup());
    let directory = TempDir::new().expect("no temporary directory");
    test(&Setup::in_directory(directory.path()));
}

/// Several workers that share one runtime's servers.
#[derive(Debug)]
pub struct Mesh {
    /// The workers.
    pub workers: Vec<Worker>,
}

impl Mesh {
    /// Starts as many workers with this program.
    pub fn start(count: usize, program: &str, setup: &Setup) -> Self {
        Self {
            workers: Worker::start_many(count, program, setup),
        }
    }

    /// Starts these callers in every worker.
    pub fn run(&mut self, run: &Run) {
        self.workers.iter_mut().for_each(|worker| worker.run(run));
    }

    /// Starts these callers in every worker and waits for all of them. Returns what happened.
    pub fn run_all(&mut self, run: &Run) -> Timeline {
        self.run(run);
        self.wait(run.callers.count())
    }

    /// Waits until every worker has served so many callers. Returns what happened.
    pub fn wait(&self, callers: usize) -> Timeline {
        self.workers.iter().for_each(|worker| worker.wait(callers));
        self.timeline()
    }

    /// What happened so far.
    pub fn timeline(&self) -> Timeline {
        Timeline::of(&self.workers)
    }

    /// Waits until so many calls of this key have been answered, by whomever. Returns what happened to it.
    pub fn wait_for_answers(&self, key: &str, answers: usize) -> Timeline {
        let limit = Duration::from_secs(90);
        wait_until(
            limit,
            &format!("{answers} calls of {key} are answered"),
            || self.timeline().key(key).served() >= answers,
        );
        self.timeline().key(key)
    }

    /// One call in every worker, answered. Returns how many bodies it needed.
    pub fn bodies_of(&mut self, run: &Run) -> usize {
        let began = now_us();
        let before = self.timeline().key(&run.key).served();
        self.run(run);
        self.wait_for_answers(&run.key, before + self.workers.len());
        self.timeline().since(began).key(&run.key).executions()
    }

    /// Waits until so many bodies of this key have ended.
    pub fn wait_for_bodies(&self, key: &str, bodies: usize) {
        let limit = Duration::from_secs(90);
        wait_until(
            limit,
            &format!("{bodies} bodies of {key} have ended"),
            || self.timeline().key(key).ends().len() >= bodies,
        );
    }

    /// What the processes counted, in all.
    pub fn stats(&mut self) -> WorkerStats {
        self.workers.iter_mut().map(Worker::stats).sum()
    }

    /// Waits until a body runs. Returns the number of its worker.
    pub fn wait_for_leader(&self, key: &str) -> usize {
        let mut pid = 0;
        wait_until(Duration::from_secs(30), "a body begins", || {
            pid = self
                .timeline()
                .key(key)
                .begins()
                .last()
                .map_or(0, |moment| moment.pid);
            pid != 0
        });
        self.workers
            .iter()
            .position(|worker| worker.pid() == pid)
            .expect("one of ours")
    }
}
