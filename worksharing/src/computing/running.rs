use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Board, Computation, Notice, Posted, host};
use crate::background;
use crate::sync::{Mutex, lock};
use crate::{Error, Key};

/// What has lasted for so long is told to other processes.
const LASTS: Duration = Duration::from_secs(1);
/// What comes to last within this time is told together.
const TOGETHER: Duration = Duration::from_millis(250);

/// What this process computes, and what it knows of the others.
pub(crate) struct Computing(Arc<Shared>);

struct Shared {
    board: Option<Arc<dyn Board>>,
    state: Mutex<State>,
    /// Locked while something is published, so that it is withdrawn behind that. Before the state, where both are.
    publishing: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// A fork computes nothing of what its parent does.
    process: u32,
    next: u64,
    running: HashMap<u64, Entry>,
    /// It is going to be looked for what has lasted.
    is_due: bool,
}

struct Entry {
    key: Key,
    function: &'static str,
    begun: Instant,
    holds_lock: bool,
    /// Its number on the board.
    published: Option<i64>,
}

impl Entry {
    fn notice(&self, id: i64) -> Notice {
        Notice {
            id,
            key: self.key.clone(),
            function: self.function,
            begun: self.begun,
        }
    }

    fn is_to_be_published(&self) -> bool {
        self.holds_lock && self.published.is_none()
    }
}

/// A computation that is under way, until this is dropped.
pub(crate) struct Running {
    shared: Arc<Shared>,
    number: u64,
    process: u32,
}

impl Computing {
    pub(crate) fn new(board: Option<Arc<dyn Board>>) -> Self {
        Self(Arc::new(Shared {
            board,
            state: Mutex::default(),
            publishing: Mutex::default(),
        }))
    }

    /// A body begins. Others are told of it once it has lasted, if it holds its key's lock.
    pub(crate) fn begin(&self, key: &Key, function: &'static str, holds_lock: bool) -> Running {
        let process = process::id();
        let mut state = lock(&self.0.state);
        let inherited = state.own(process);
        let number = state.next;
        state.next += 1;
        let entry = Entry {
            key: key.clone(),
            function,
            begun: Instant::now(),
            holds_lock,
            published: None,
        };
        state.running.insert(number, entry);
        let may_last = holds_lock && self.0.board.is_some();
        let is_first = may_last && !state.is_due;
        state.is_due |= may_last;
        drop(state);
        drop(inherited);
        if is_first {
            self.0.publish_in(LASTS);
        }
        Running {
            shared: Arc::clone(&self.0),
            number,
            process,
        }
    }

    /// What is being computed in all processes, the longest first.
    ///
    /// # Errors
    /// As of [`Board::read`].
    pub(crate) async fn read(&self) -> Result<Vec<Computation>, Error> {
        let (keys, mut own) = self.0.own();
        if let Some(board) = &self.0.board {
            let Posted {
                mut computations,
                waiting,
            } = board.read(keys).await?;
            computations.retain(|(id, _)| !own.iter().any(|(own, _)| *own == Some(*id)));
            for ((_, own), waiting) in own.iter_mut().zip(waiting) {
                own.waiting = waiting;
            }
            own.extend(computations.into_iter().map(|(id, it)| (Some(id), it)));
        }
        let mut all: Vec<_> = own.into_iter().map(|(_, it)| it).collect();
        all.sort_by_key(|it| Reverse(it.running_for));
        Ok(all)
    }
}

impl Computing {
    /// Makes sure that others can be told.
    ///
    /// # Errors
    /// As of [`Board::check`].
    pub(crate) async fn check(&self) -> Result<(), Error> {
        match &self.0.board {
            Some(board) => board.check().await,
            None => Ok(()),
        }
    }
}

impl State {
    /// Makes sure that it is this process's. Returns what was its parent's.
    fn own(&mut self, process: u32) -> Option<HashMap<u64, Entry>> {
        (self.process != process).then(|| {
            self.process = process;
            self.is_due = false;
            std::mem::take(&mut self.running)
        })
    }

    /// What has lasted by now, and when the next will have.
    fn due(&mut self, now: Instant) -> (Vec<Notice>, Option<Duration>) {
        let (mut notices, mut next) = (Vec::new(), None::<Duration>);
        let unpublished = |entry: &&mut Entry| entry.is_to_be_published();
        for entry in self.running.values_mut().filter(unpublished) {
            let left = LASTS.saturating_sub(now.saturating_duration_since(entry.begun));
            if left.is_zero() {
                let id = random();
                entry.published = Some(id);
                notices.push(entry.notice(id));
            } else {
                next = Some(next.map_or(left, |next| next.min(left)));
            }
        }
        self.is_due = next.is_some();
        (notices, next)
    }
}

impl Shared {
    fn publish_in(self: &Arc<Self>, time: Duration) {
        let shared = Arc::downgrade(self);
        background::after(time, move || {
            shared
                .upgrade()
                .into_iter()
                .for_each(|shared| shared.publish());
        });
    }

    /// Publishes what has lasted by now, all at once.
    fn publish(self: Arc<Self>) {
        let Some(board) = &self.board else { return };
        let publishing = lock(&self.publishing);
        let (notices, next) = lock(&self.state).due(Instant::now());
        if !notices.is_empty() {
            board.publish(notices);
        }
        drop(publishing);
        if let Some(next) = next {
            self.publish_in(next.max(TOGETHER));
        }
    }

    /// What this process computes, with the numbers on the board; and the keys.
    fn own(&self) -> (Vec<Key>, Vec<(Option<i64>, Computation)>) {
        let (process, host) = (process::id(), host());
        let state = lock(&self.state);
        let of_process = |_: &&Entry| state.process == process;
        let running = state.running.values().filter(of_process);
        let told = |entry: &Entry| {
            let (key, age) = (entry.key.characteristic(), entry.begun.elapsed());
            let computation = Computation::new(key, entry.function, process, &host, age);
            (entry.key.clone(), (entry.published, computation))
        };
        running.map(told).unzip()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.process != process::id() {
            return;
        }
        let ended = lock(&self.shared.state).running.remove(&self.number);
        let Some(ended) = ended else { return };
        if let (Some(id), Some(board)) = (ended.published, &self.shared.board) {
            let _behind = lock(&self.shared.publishing);
            board.withdraw(ended.notice(id));
        }
    }
}

/// A number that no other process draws.
fn random() -> i64 {
    RandomState::new().hash_one(process::id()).cast_signed()
}

impl fmt::Debug for Computing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = lock(&self.0.state).running.len();
        f.debug_struct("Computing")
            .field("running", &running)
            .finish()
    }
}
