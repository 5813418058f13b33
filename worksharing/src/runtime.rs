//! The parts of a runtime: what all its calls share. It knows no call.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

#[cfg(feature = "postgres")]
use crate::backend::postgres::outbox::Names;
use crate::changes::Changed;
use crate::computing::Computing;
use crate::detached::Detached;
use crate::events::Events;
use crate::flow::{Flights, Pauses, Unstorable};
use crate::lock::Lock;
use crate::namespace::Namespace;
use crate::near::{Fill, Keeping, Near, Whose};
#[cfg(feature = "postgres")]
use crate::outbox::Outbox;
use crate::store::Store;
use crate::{Error, Key};

/// What a [`WorkSharing`](crate::WorkSharing) is made of.
pub(crate) struct Runtime {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) lock: Arc<dyn Lock>,
    pub(crate) changes: Arc<Changed>,
    pub(crate) near: Near,
    /// The same for all runtimes whose locks exclude each other.
    pub(crate) lock_scope: u64,
    /// What transactions invalidate.
    #[cfg(feature = "postgres")]
    pub(crate) outbox: Option<Arc<Outbox>>,
    /// Of what the outbox is made of, be there one or not.
    #[cfg(feature = "postgres")]
    pub(crate) names: Names,
    pub(crate) namespace: Namespace,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_value_bytes: usize,
    pub(crate) flights: Arc<Flights>,
    /// Of calls that have waited for too long, and compute without the lock.
    pub(crate) overflow: Arc<Flights>,
    pub(crate) pauses: Pauses,
    pub(crate) detached: Arc<Detached>,
    pub(crate) computing: Computing,
    pub(crate) unstorable: Unstorable,
    pub(crate) events: Events,
}

/// The times of a runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// How long a value is fresh where its function does not say.
    pub(crate) default_ttl: Duration,
    /// How long an invalidation is remembered.
    pub(crate) tombstone_ttl: Duration,
    /// After this a computation is said to be long.
    pub(crate) long_computation: Duration,
    /// How long a process waits after a computation that came to nothing, where an old value can be served.
    pub(crate) retry_after: Duration,
    /// How old a tombstone must be before something is stored.
    pub(crate) settle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            default_ttl: Duration::from_secs(300),
            tombstone_ttl: Duration::from_secs(3600),
            long_computation: Duration::from_secs(300),
            retry_after: Duration::from_secs(1),
            settle: Duration::ZERO,
        }
    }
}

/// A number for the keys that a lock excludes on: of its [`scope`](Lock::scope), or of the lock itself.
pub(crate) fn scope_of(lock: &Arc<dyn Lock>) -> u64 {
    static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    match lock.scope() {
        Some(scope) => HASHER.hash_one(scope),
        None => HASHER.hash_one(Arc::as_ptr(lock).addr()),
    }
}

impl Runtime {
    /// The key of a characteristic string, behind the namespace.
    pub(crate) fn key(&self, characteristic: &str) -> Key {
        self.namespace.key(characteristic)
    }

    /// The key of a tag's marker.
    pub(crate) fn tag(&self, tag: &str) -> Key {
        self.namespace.tag(tag)
    }

    /// The key of the marker of a function's own tag, which is none that a user can write.
    pub(crate) fn function_tag(&self, name: &str) -> Key {
        self.namespace.function_tag(name)
    }

    /// The statement by which a transaction invalidates a key.
    #[cfg(feature = "postgres")]
    pub(crate) fn invalidation_sql(&self, key: &Key) -> String {
        // Each process puts its own namespace before what it finds there.
        let text = self.namespace.text(key).map(|(_, text)| text);
        let text = text.unwrap_or_else(|| key.characteristic());
        self.names.invalidate(text)
    }

    /// Puts the namespace before a characteristic string.
    pub(crate) fn put_namespace(&self, characteristic: &mut String) {
        if let Some(namespace) = self.namespace.name() {
            characteristic.insert(0, ':');
            characteristic.insert_str(0, namespace);
        }
    }

    /// A clone of a value that is kept in this process. Whoever returns it has it [traced](track::found_here): not here, where
    /// that makes each hit slower.
    pub(crate) fn find<S>(&self, keeping: Keeping<S>, whose: Whose<'_>) -> Option<S> {
        keeping.find(&self.near, self.changes.epochs(), whose)
    }

    /// Keeps a clone of a value, and sees to it that changes of it are heard.
    pub(crate) fn keep<S>(&self, keeping: Keeping<S>, fill: &Fill, value: &S) {
        keeping.keep(&self.near, self.changes.epochs(), fill, value);
        self.changes.listen();
    }

    /// Waits until what was queued behind callers' backs has taken effect.
    pub(crate) async fn flush(&self) -> Result<(), Error> {
        // A value is to be there before its lock is free.
        let stored = self.store.flush().await;
        stored.and(self.lock.flush().await)
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkSharing")
            .field("store", &self.store)
            .field("lock", &self.lock)
            .field("namespace", &self.namespace.name())
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
