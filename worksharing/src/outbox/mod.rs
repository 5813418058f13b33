//! Invalidation inside a user's transaction: what it writes into the outbox is laid in the store soon after its commit.
//!
//! One process for each store takes what is due there, lays tombstones and markers, and only then has done with the
//! rows: so a row that was committed is never forgotten, whoever dies when. Laid twice, it costs a computation.

mod consumer;
mod gate;
mod lay;
mod resolve;
mod store;
mod trouble;

use std::fmt;
use std::sync::{Arc, Once, Weak};
use std::time::Duration;

use self::gate::Gate;
use self::resolve::Found;
use self::store::Looked;
use self::trouble::Troubles;
use crate::backend::postgres::outbox::Queue;
use crate::changes::Changed;
use crate::namespace::Namespace;
use crate::payload::entry::{EntryId, Kind};
use crate::per_process::PerProcess;
use crate::store::Store;
use crate::sync::{Mutex, lock};
use crate::{Error, Key, background};

/// What a row invalidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    Key,
    Tag,
    /// A function's own tag: written by this crate alone.
    Function,
}

impl What {
    /// As it is written in the database.
    pub(crate) fn number(self) -> i16 {
        match self {
            Self::Key => 1,
            Self::Tag => 2,
            Self::Function => 3,
        }
    }

    pub(crate) fn of(number: i16) -> Option<Self> {
        [Self::Key, Self::Tag, Self::Function]
            .into_iter()
            .find(|what| what.number() == number)
    }
}

/// What is invalidated: a characteristic string or a tag, without a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Text {
    pub(crate) what: What,
    pub(crate) text: String,
}

impl Text {
    /// What a key is made of, if it is one of this namespace.
    pub(crate) fn of(key: &Key, namespace: &Namespace) -> Option<Self> {
        let (what, text) = namespace.text(key)?;
        let text = text.to_owned();
        Some(Self { what, text })
    }

    /// What is laid for it.
    fn kind(&self) -> Kind {
        match self.what {
            What::Key => Kind::Tombstone,
            What::Tag | What::Function => Kind::Marker,
        }
    }

    fn key(&self, namespace: &Namespace) -> Key {
        match self.what {
            What::Key => namespace.key(&self.text),
            What::Tag => namespace.tag(&self.text),
            What::Function => namespace.function_tag(&self.text),
        }
    }
}

/// What a store is known by in the outbox.
pub(crate) struct StoreId(String);

impl StoreId {
    /// Of the table of values beside the outbox.
    pub(crate) fn values() -> Self {
        Self("values".to_owned())
    }

    /// With a namespace: each has rows of its own, since each makes another key of a text.
    pub(crate) fn of(self, namespace: &Namespace) -> String {
        match namespace.name() {
            Some(namespace) => format!("{} {namespace}", self.0),
            None => self.0,
        }
    }
}

/// A longer text in the outbox, in bytes, is nobody's, and invalidates nothing: a transaction could write gigabytes.
pub(crate) const LONGEST_TEXT: usize = 1 << 16;

/// A row of the outbox that is due in a store.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: i64,
    /// `None` if it can be about nothing of ours.
    pub(crate) text: Option<Text>,
}

/// The outbox of a runtime, and the store in which it is laid.
pub(crate) struct Outbox {
    queue: Queue,
    store: Arc<dyn Store>,
    /// The values stand beside the outbox, so that whoever looks sees what is pending.
    is_exact: bool,
    namespace: Namespace,
    tombstone_ttl: Duration,
    changes: Arc<Changed>,
    /// A forked child consumes by itself.
    process: PerProcess<Process>,
    troubles: Troubles,
}

/// What a process has of an outbox.
struct Process {
    /// By which its claims are known.
    number: i64,
    gate: Gate,
    found: Found,
    begun: Once,
    /// The store that it looks after.
    claimed: Mutex<Option<String>>,
}

impl Process {
    fn new() -> Self {
        Self {
            number: EntryId::random().number(),
            gate: Gate::default(),
            found: Found::default(),
            begun: Once::new(),
            claimed: Mutex::default(),
        }
    }
}

impl Outbox {
    pub(crate) fn new(
        queue: Queue,
        store: Arc<dyn Store>,
        is_exact: bool,
        namespace: Namespace,
        tombstone_ttl: Duration,
        changes: Arc<Changed>,
    ) -> Arc<Self> {
        Arc::new(Self {
            queue,
            store,
            is_exact,
            namespace,
            tombstone_ttl,
            changes,
            process: PerProcess::default(),
            troubles: Troubles::default(),
        })
    }

    /// The store, as calls are to see it.
    pub(crate) fn store(self: &Arc<Self>) -> Arc<dyn Store> {
        Arc::new(Looked::new(self))
    }

    fn process(&self) -> &Process {
        self.process.get(Process::new)
    }

    /// Begins to consume, in the background.
    fn begin(self: &Arc<Self>) {
        self.process().begun.call_once(|| {
            let outbox: Weak<Self> = Arc::downgrade(self);
            background::spawn(consumer::run(outbox));
        });
    }

    /// Waits until what was committed before this process looked for the first time is laid, but not for long.
    async fn ready(self: &Arc<Self>) {
        self.begin();
        if !self.process().gate.wait().await {
            self.troubles.late();
        }
    }

    fn is_ready(&self) -> bool {
        self.process().gate.is_open()
    }

    /// Has this laid later, since the store refuses it now.
    pub(crate) async fn add(&self, key: &Key) -> Result<(), Error> {
        match Text::of(key, &self.namespace) {
            Some(text) => self.queue.add(text).await,
            None => Err(Error::setting("the key is of another namespace")),
        }
    }

    async fn check(self: &Arc<Self>) -> Result<(), Error> {
        self.queue.check().await?;
        self.begin();
        Ok(())
    }
}

impl Drop for Outbox {
    /// Another process need not wait until its claim has lapsed.
    fn drop(&mut self) {
        if let Some(process) = self.process.peek()
            && let Some(store) = lock(&process.claimed).take()
        {
            self.queue.release(&store, process.number);
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.queue.fmt(f)
    }
}
