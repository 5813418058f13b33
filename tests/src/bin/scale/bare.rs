//! Bare sessions: connections that say what a process's sessions say, thousands of them on one thread.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_postgres::{AsyncMessage, Client, NoTls, Statement};
use worksharing::Key;

use crate::plan::Sessions;
use crate::server::Server;
use crate::{Fleet, HERD};

/// As many processes' worth of bare sessions.
pub(crate) struct Bare {
    runtime: Runtime,
    url: String,
    sessions: Sessions,
    processes: Vec<Process>,
    heard: Arc<AtomicUsize>,
}

/// What stands for a process.
struct Process {
    lock: Arc<Client>,
    listener: Option<Arc<Client>>,
    poll: Statement,
}

const HEARTBEAT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_secs(1);
/// So many connect at a time.
const TOGETHER: usize = 16;

impl Bare {
    pub(crate) fn start(
        server: &Server,
        processes: usize,
        held: usize,
        sessions: Sessions,
    ) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let mut bare = Self {
            runtime: runtime.expect("cannot start tokio"),
            url: server.url(),
            sessions,
            processes: Vec::with_capacity(processes),
            heard: Arc::default(),
        };
        let numbers: Vec<_> = (0..processes).collect();
        for numbers in numbers.chunks(TOGETHER) {
            let begun = numbers
                .iter()
                .map(|number| bare.process(*number, held, processes));
            let begun = bare.runtime.block_on(join_all(begun));
            bare.processes.extend(begun);
        }
        bare
    }

    async fn process(&self, number: usize, held: usize, all: usize) -> Process {
        let lock = Arc::new(self.connect().await);
        let key = |at: usize| Key::new(format!("{number} {at}")).lock_key();
        let keys: Vec<i64> = (0..held).map(key).collect();
        let sql = "SELECT k, pg_try_advisory_lock(k) FROM unnest($1::bigint[]) AS k";
        let poll = lock.prepare(sql).await.expect(sql);
        lock.query(&poll, &[&keys]).await.expect(sql);
        beat(&lock, number, all);
        let listener = match self.sessions {
            Sessions::Listening => Some(self.listener(number, all).await),
            Sessions::OnDemand => None,
        };
        Process {
            lock,
            listener,
            poll,
        }
    }

    async fn listener(&self, number: usize, all: usize) -> Arc<Client> {
        let listener = Arc::new(self.connect().await);
        let sql = "LISTEN worksharing";
        listener.batch_execute(sql).await.expect(sql);
        beat(&listener, number, all);
        listener
    }

    async fn connect(&self) -> Client {
        let (client, mut connection) = tokio_postgres::connect(&self.url, NoTls)
            .await
            .expect("cannot connect");
        let heard = Arc::clone(&self.heard);
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if matches!(message, AsyncMessage::Notification(_)) {
                    heard.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        client
    }

    /// Shows interest, and looks from time to time whether the key is free.
    async fn wait(&self, process: &Process) {
        let key = Key::new(HERD);
        let sql = "SELECT pg_try_advisory_lock_shared($1)";
        let interest = &[&key.interest_key() as _];
        process.lock.query(sql, interest).await.expect(sql);
        let (lock, poll) = (Arc::downgrade(&process.lock), process.poll.clone());
        tokio::spawn(async move {
            let mut ticks = interval_at((Instant::now() + POLL).into(), POLL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(lock) = lock.upgrade() else { return };
                let keys = [key.lock_key()];
                if lock.query(&poll, &[&keys.as_slice()]).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Says from time to time that the session lives, each of all at its own moment.
fn beat(client: &Arc<Client>, number: usize, all: usize) {
    let client = Arc::downgrade(client);
    let first = HEARTBEAT.mul_f64((number + 1) as f64 / all as f64);
    tokio::spawn(async move {
        let mut ticks = interval_at((Instant::now() + first).into(), HEARTBEAT);
        loop {
            ticks.tick().await;
            let Some(client) = client.upgrade() else {
                return;
            };
            let alive = client.query_typed("SELECT pg_is_in_recovery(), pg_backend_pid()", &[]);
            if alive.await.is_err() {
                return;
            }
        }
    });
}

impl Fleet for Bare {
    fn begin_to_wait(&mut self) {
        let all = self.processes.len();
        let deaf = |it: &usize| self.processes[*it].listener.is_none();
        let deaf: Vec<_> = (0..all).filter(deaf).collect();
        for numbers in deaf.chunks(TOGETHER) {
            let listeners = numbers.iter().map(|number| self.listener(*number, all));
            let listeners = self.runtime.block_on(join_all(listeners));
            for (number, listener) in numbers.iter().zip(listeners) {
                self.processes[*number].listener = Some(listener);
            }
        }
        for processes in self.processes.chunks(TOGETHER) {
            let marks = processes.iter().map(|process| self.wait(process));
            self.runtime.block_on(join_all(marks));
        }
    }

    fn heard(&self) -> Option<usize> {
        Some(self.heard.load(Ordering::Relaxed))
    }

    fn waits(&self) -> bool {
        false
    }

    /// Those whose sessions do not always listen are idle now, and disconnect.
    fn end(&mut self) {
        if self.sessions == Sessions::OnDemand {
            self.processes.clear();
        }
    }
}
