//! What is being computed: in this process by a list, in the others by a board that all of them see.
//!
//! A computation is put on the board when it has lasted for a second, many at once and in the background, so that what
//! is short costs no more than its place in the list. Who died is forgotten by what held its key.

mod running;

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

pub(crate) use self::running::{Computing, Running};
use crate::{BoxFuture, Error, Key};

/// A computation that is under way: what [`WorkSharing::computing`](crate::WorkSharing::computing) tells of.
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct Computation {
    /// The characteristic string of its key, namespace included. On its way from another process a long one is cut off.
    pub key: String,
    /// The function, as `module::function` or as its option `name` says; of a [`Work`](crate::Work) its
    /// [`name`](crate::Work::name).
    pub function: String,
    /// The process that computes.
    pub process: u32,
    /// The name of its machine.
    pub host: String,
    /// When it began, by this machine's clock.
    pub since: SystemTime,
    /// How long it has been running.
    pub running_for: Duration,
    /// How many other processes are known to wait for its end.
    pub waiting: u32,
}

impl Computation {
    pub(crate) fn new(key: &str, function: &str, process: u32, host: &str, age: Duration) -> Self {
        let now = SystemTime::now();
        Self {
            key: key.to_owned(),
            function: function.to_owned(),
            process,
            host: host.to_owned(),
            since: now.checked_sub(age).unwrap_or(now),
            running_for: age,
            waiting: 0,
        }
    }
}

/// A computation as it stands on the board. It holds its key's lock.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    /// A number that no other has.
    pub(crate) id: i64,
    pub(crate) key: Key,
    pub(crate) function: &'static str,
    pub(crate) begun: Instant,
}

impl Notice {
    /// So many bytes of a characteristic string are told to others.
    const LONGEST: usize = 1_000;

    pub(crate) fn text(&self) -> &str {
        let text = self.key.characteristic();
        let mut end = text.len().min(Self::LONGEST);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        &text[..end]
    }
}

/// What stands on the board.
#[derive(Debug, Default)]
pub(crate) struct Posted {
    /// The computations whose keys are held, with their numbers.
    pub(crate) computations: Vec<(i64, Computation)>,
    /// For each key that was asked about: how many other processes wait for it.
    pub(crate) waiting: Vec<u32>,
}

/// Where processes that exclude each other tell what they compute.
pub(crate) trait Board: fmt::Debug + Send + Sync {
    /// Tells the others. Queued, never blocking.
    fn publish(&self, notices: Vec<Notice>);

    /// It has ended. Queued behind what was published, never blocking.
    fn withdraw(&self, notice: Notice);

    /// What is on it; and how many processes wait for these keys.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses: says what to do.
    ///
    /// # Cancel safety
    /// Dropped, it changes nothing.
    fn read(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Posted, Error>>;

    /// Makes sure that it can be written to.
    ///
    /// # Errors
    /// Says what was found and what to do about it.
    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async { Ok(()) })
    }
}

/// The name of this machine, as far as it is known.
pub(crate) fn host() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    name
}
