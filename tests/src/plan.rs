use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Options;

/// The runtime that a worker builds: the first line it reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// Builder's `postgres`.
    pub postgres: Option<String>,
    /// Builder's `redis`.
    pub redis: Option<String>,
    /// Builder's `lock_url`.
    pub lock_url: Option<String>,
    /// Builder's `lock_servers`, where there are any.
    pub lock_servers: Vec<String>,
    /// Builder's `directory`.
    pub directory: Option<PathBuf>,
    /// Builder's `postgres_lock`: `session` or `lease`; left to the runtime otherwise.
    pub lock: Option<String>,
    /// Builder's `max_held_keys`.
    pub max_held_keys: Option<usize>,
    /// Builder's `max_value_bytes`.
    pub max_value_bytes: Option<usize>,
    /// Builder's `tombstone_ttl`.
    pub tombstone_ttl: Option<Duration>,
    /// Builder's `transactional_invalidation`.
    pub transactional_invalidation: bool,
    /// Builder's `max_local_age`.
    pub max_local_age: Option<Duration>,
    /// For how long it drains when it is asked to end (SIGTERM), which it tells by [`Event::Checked`]. Left out: it ends at
    /// once.
    pub drains_for: Option<Duration>,
    /// Whether every panic ends the process, as it does where a program is built with `panic = "abort"`.
    pub abort_on_panic: bool,
    /// What is logged, as a filter of `tracing_subscriber`. Left out: warnings.
    pub log: Option<String>,
}

/// What a worker does next: one line of its standard input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Starts callers. Does not wait for them.
    Run(Run),
    /// Runs one caller, flushes what that has queued, and ends at once.
    RunAndLeave(Run),
    /// Starts one caller of many keys, told by [`Event::ListBody`] and [`Event::Listed`]. Does not wait for it.
    List(List),
    /// `WorkSharing::check`, answered by [`Event::Checked`].
    Check,
    /// `WorkSharing::stats`, answered by [`Event::Stats`].
    Stats,
    /// `WorkSharing::computing_blocking`, answered by [`Event::Computing`].
    Computing,
    /// `Work::peek_blocking`, answered by [`Event::Peeked`].
    Peek(String),
    /// `Work::invalidate_blocking` or `WorkSharing::invalidate_tag_blocking` on a thread of its own, told by
    /// [`Event::Invalidating`] and [`Event::Invalidated`].
    Invalidate(Scope, String),
    /// Builds so many runtimes one after the other, makes a call with each, and drops it. Answered by
    /// [`Event::Checked`].
    Churn(usize),
    /// So many callers queue for a place among the held keys, and give up. Answered by [`Event::Checked`].
    GiveUp(usize),
    /// So many tasks call, and are aborted, most of them before they are answered. Answered by
    /// [`Event::Checked`].
    Cancel(usize),
    /// Forks: the new process looks at some keys and computes one, which it tells by [`Event::Peeked`]; its
    /// parent looks, too, and answers by [`Event::Checked`]. In a worker with
    /// [`Shim::that_forks`](crate::Shim::that_forks).
    Fork(String),
}

/// A caller of many keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct List {
    /// What the keys begin with.
    pub name: String,
    /// What they end with, and what is squared.
    pub ids: Vec<u64>,
    /// How long a body takes.
    pub body: Duration,
    /// Whether it runs detached.
    pub detach: bool,
}

/// What is invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// The entry of a key.
    Key,
    /// Every entry with a tag.
    Tag,
}

/// What a caller says that it got, where the body gave no value.
pub const NOTHING: &str = "nothing";
/// What a caller says that went away before it had an answer.
pub const GAVE_UP: &str = "gave up";

/// Callers of one key, or of as many keys as there are callers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The characteristic string.
    pub key: String,
    /// How many callers, and of what kind.
    pub callers: Callers,
    /// Whether each caller has a key of its own: `key` and its number.
    pub distinct: bool,
    /// The time to live.
    pub ttl: Duration,
    /// How long the body takes.
    pub body: Duration,
    /// How the body ends.
    pub end: End,
    /// The other options of the work.
    pub options: Options,
    /// After how long a task goes away without an answer: its error is then [`GAVE_UP`].
    pub gives_up: Option<Duration>,
    /// How often each caller calls, one call after the other.
    pub calls: usize,
    /// How long a caller rests between two of its calls.
    pub rest: Duration,
}

/// How many callers, and of what kind.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Callers {
    /// Each a thread, through the blocking calls.
    Threads(usize),
    /// Each a task, through the asynchronous calls.
    Tasks(usize),
    /// Half and half.
    Mixed(usize),
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// With a value, different for each execution.
    Return,
    /// With an error, different for each execution.
    Fail,
    /// With a panic.
    Panic,
    /// With an error half of the time.
    Maybe,
    /// With no value, which is no error: [`NOTHING`].
    Nothing,
    /// With an error if it ends between these two moments of [`now_us`](crate::now_us).
    Down(u64, u64),
}

/// What a worker tells: one line of its standard output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The runtime is built (or why not), and commands are awaited.
    Ready(Option<String>),
    /// A caller calls.
    Called(Moment),
    /// A body begins.
    BodyBegin(Moment),
    /// A body ends, with what it is about to return.
    BodyEnd(Moment, Result<String, String>),
    /// A caller has its answer: a value, or an error or panic of its own.
    Served(Moment, Result<String, String>),
    /// An invalidation is asked for.
    Invalidating(Moment, Scope),
    /// It has returned: what went wrong.
    Invalidated(Moment, Scope, Option<String>),
    /// The answer to [`Command::Check`]: what went wrong.
    Checked(Option<String>),
    /// The answer to [`Command::Stats`].
    Stats(crate::WorkerStats),
    /// The answer to [`Command::Computing`]: what is computed, or what went wrong.
    Computing(Result<Vec<Computed>, String>),
    /// A body begins with these ids.
    ListBody(Vec<u64>),
    /// A caller of many keys was served: each id with its value.
    Listed(Vec<(u64, u64)>),
    /// The answer to [`Command::Peek`].
    Peeked(Option<String>),
}

/// `worksharing::Computation`, for the way between processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "it is documented there")]
pub struct Computed {
    pub key: String,
    pub function: String,
    pub process: u32,
    pub host: String,
    pub running_for: Duration,
    pub waiting: u32,
}

impl From<worksharing::Computation> for Computed {
    fn from(it: worksharing::Computation) -> Self {
        Self {
            key: it.key,
            function: it.function,
            process: it.process,
            host: it.host,
            running_for: it.running_for,
            waiting: it.waiting,
        }
    }
}

/// Who, what and when.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Moment {
    /// On the clock of [`now_us`](crate::now_us).
    pub at_us: u64,
    /// The worker's process.
    pub pid: u32,
    /// The caller's number in its process.
    pub caller: usize,
    /// The characteristic string, or the tag.
    pub key: String,
}

impl Run {
    /// One blocking caller, whose body takes so long and returns a value that lives for a minute.
    pub fn of(key: &str, body: Duration) -> Self {
        Self {
            key: key.to_owned(),
            callers: Callers::Threads(1),
            distinct: false,
            ttl: Duration::from_secs(60),
            body,
            end: End::Return,
            options: Options::default(),
            gives_up: None,
            calls: 1,
            rest: Duration::ZERO,
        }
    }

    /// With these callers.
    pub fn callers(mut self, callers: Callers) -> Self {
        self.callers = callers;
        self
    }

    /// With a key for each caller.
    pub fn distinct(mut self) -> Self {
        self.distinct = true;
        self
    }

    /// With this time to live.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// With a body that ends so.
    pub fn end(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    /// Computing anew whatever is stored.
    pub fn force_refresh(mut self) -> Self {
        self.options.force_refresh = true;
        self
    }

    /// With these options.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// By tasks that go away after so long.
    pub fn gives_up(mut self, time: Duration) -> Self {
        self.gives_up = Some(time);
        self
    }

    /// So often, with so much rest between two calls.
    pub fn calls(mut self, calls: usize, rest: Duration) -> Self {
        (self.calls, self.rest) = (calls, rest);
        self
    }
}

impl Callers {
    /// How many.
    pub fn count(self) -> usize {
        match self {
            Self::Threads(count) | Self::Tasks(count) | Self::Mixed(count) => count,
        }
    }

    /// Whether this one of them is a task.
    pub fn is_task(self, caller: usize) -> bool {
        match self {
            Self::Threads(_) => false,
            Self::Tasks(_) => true,
            Self::Mixed(_) => caller % 2 == 1,
        }
    }
}
