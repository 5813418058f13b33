use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::block_on::block_on;
use crate::builder::Builder;
use crate::events::{Counts, OncePerKey, RateLimited, Stats, count};
use crate::flow::Call;
use crate::flow::Flights;
use crate::lock::Lock;
use crate::store::Store;
use crate::{Error, ErrorKind, Key, Work};

/// A runtime: where locks are taken and values are kept. A cheap clone; the last one to go closes its
/// connections.
///
/// ```
/// use worksharing::WorkSharing;
///
/// # fn main() -> Result<(), worksharing::Error> {
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path();
/// let sharing = WorkSharing::in_directory(path)?; // shared by all processes of this machine
/// let answer = sharing.work("answer").run_blocking(|| 42);
/// assert_eq!(answer, 42);
/// assert_eq!(sharing.stats().computed, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct WorkSharing(Arc<Inner>);

/// The parts of a runtime.
pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) lock: Arc<dyn Lock>,
    pub(crate) namespace: Option<String>,
    pub(crate) default_ttl: Duration,
    pub(crate) tombstone_ttl: Duration,
    pub(crate) max_value_bytes: usize,
    pub(crate) flights: Arc<Flights>,
    pub(crate) counts: Counts,
    pub(crate) warned: Warned,
}

/// What was said already.
#[derive(Debug, Default)]
pub(crate) struct Warned {
    lock: RateLimited,
    store: RateLimited,
    refused: RateLimited,
    recursion: RateLimited,
    no_lifetime: RateLimited,
    too_large: OncePerKey,
    unreadable: OncePerKey,
    unshareable: OncePerKey,
}

static INSTALLED: RwLock<Option<Installed>> = RwLock::new(None);

struct Installed {
    sharing: WorkSharing,
    /// Made because nothing was installed when it was first asked for.
    by_default: bool,
}

impl WorkSharing {
    /// Begins to describe a runtime.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A runtime of this process alone: values in memory, locks in the process. For tests, and for programs
    /// of one process.
    pub fn in_memory() -> Self {
        Builder::new().build_in_memory()
    }

    /// A runtime of the processes of this machine, without any server: values are files in this directory,
    /// which is made if it is missing, and locks are file locks, freed by the kernel when a process dies.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub fn in_directory(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().directory(path.as_ref()).build()
    }

    /// A runtime as the environment describes it:
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `WORKSHARING_POSTGRES_URL`, else `DATABASE_URL` | [`Builder::postgres`] |
    /// | `WORKSHARING_REDIS_URL`, else `REDIS_URL` | [`Builder::redis`] |
    /// | `WORKSHARING_DIRECTORY` | [`Builder::directory`], where there is no PostgreSQL |
    /// | `WORKSHARING_NAMESPACE` | [`Builder::namespace`] |
    ///
    /// With none of them it is in memory. Empty variables count as missing.
    ///
    /// # Errors
    /// As of [`Builder::build`].
    pub fn from_env() -> Result<Self, Error> {
        Builder::from_env().build()
    }

    /// Makes this the runtime of functions that are annotated without `via`.
    ///
    /// # Errors
    /// Another one is installed already.
    pub fn install(&self) -> Result<(), Error> {
        let mut installed = INSTALLED.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = &*installed
            && !other.by_default
            && !Arc::ptr_eq(&other.sharing.0, &self.0)
        {
            return Err(Error::new(
                ErrorKind::AlreadyInstalled,
                "another runtime is installed already, and a process has one: call `install` once, early in \
                 `main`, and give functions that need another runtime `via = …`",
            ));
        }
        *installed = Some(Installed {
            sharing: self.clone(),
            by_default: false,
        });
        Ok(())
    }

    /// The runtime of functions that are annotated without `via`: the installed one. If nothing is
    /// installed it is in memory, which is said once, at info level.
    pub fn installed() -> Self {
        if let Some(installed) = &*INSTALLED.read().unwrap_or_else(PoisonError::into_inner) {
            return installed.sharing.clone();
        }
        let mut installed = INSTALLED.write().unwrap_or_else(PoisonError::into_inner);
        let installed = installed.get_or_insert_with(|| {
            tracing::info!(
                "no runtime is installed: work is shared in the memory of this process only; build a \
                 WorkSharing and call its `install` to share it among processes"
            );
            Installed { sharing: Self::in_memory(), by_default: true }
        });
        installed.sharing.clone()
    }

    /// Connects to the servers now, blocking this thread, and makes sure that they can do what is needed.
    ///
    /// # Errors
    /// A server cannot be reached, or is unsuitable: a standby, a pooler in transaction mode, a missing
    /// right. The error says what to do.
    pub fn check(&self) -> Result<(), Error> {
        block_on(async {
            self.0.lock.check().await?;
            self.0.store.check().await
        })
    }

    /// One piece of work, by its characteristic string, which is used exactly as written (after the
    /// namespace, if there is one).
    pub fn work<T>(&self, characteristic: impl AsRef<str>) -> Work<T> {
        Work::new(self, characteristic.as_ref())
    }

    /// What happened since the runtime was built.
    pub fn stats(&self) -> Stats {
        self.0.counts.snapshot()
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub(crate) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.0)
    }
}

impl AsRef<WorkSharing> for WorkSharing {
    fn as_ref(&self) -> &WorkSharing {
        self
    }
}

impl fmt::Debug for WorkSharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkSharing")
            .field("store", &self.store)
            .field("lock", &self.lock)
            .field("namespace", &self.namespace)
            .field("default_ttl", &self.default_ttl)
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn key(&self, characteristic: &str) -> Key {
        match &self.namespace {
            Some(namespace) => Key::new(format!("{namespace}:{characteristic}")),
            None => Key::new(characteristic),
        }
    }

    pub(crate) fn without_lock(&self, call: &Call, error: &Error) {
        count(&self.counts.degraded);
        self.warned.lock.say(|kept_back| {
            tracing::warn!(name = call.name, key = call.key.hex(), kept_back, %error,
                "computing without the lock: other processes may compute the same");
        });
    }

    pub(crate) fn without_store(&self, call: &Call, error: &Error) {
        count(&self.counts.degraded);
        self.warned.store.say(|kept_back| {
            tracing::warn!(name = call.name, key = call.key.hex(), kept_back, %error,
                "the store is not used: values are computed anew");
        });
    }

    pub(crate) fn refused(&self, call: &Call) {
        count(&self.counts.refused);
        self.warned.refused.say(|kept_back| {
            tracing::info!(
                name = call.name,
                key = call.key.hex(),
                kept_back,
                "a value was not stored: something newer stands there"
            );
        });
    }

    pub(crate) fn recursion(&self, call: &Call) {
        count(&self.counts.recursive);
        self.warned.recursion.say(|kept_back| {
            tracing::warn!(name = call.name, key = call.key.hex(), kept_back,
                "asked for inside its own computation: computed inline; give the inner call a key of its own");
        });
    }

    pub(crate) fn no_lifetime(&self, call: &Call) {
        self.warned.no_lifetime.say(|kept_back| {
            tracing::warn!(name = call.name, key = call.key.hex(), kept_back,
                "a value was not stored: its time to live is zero; write how long it may be used, for \
                 example Duration::from_secs(60), or use `cache_if` to leave values out");
        });
    }

    pub(crate) fn too_large(&self, call: &Call) {
        if self.warned.too_large.first(call.key.digest()) {
            tracing::warn!(
                name = call.name,
                key = call.key.hex(),
                allowed = self.max_value_bytes,
                "a value was not stored: it is too large; raise it with Builder::max_value_bytes"
            );
        }
    }

    pub(crate) fn unreadable(&self, call: &Call, reason: &str) {
        count(&self.counts.unreadable);
        if self.warned.unreadable.first(call.key.digest()) {
            tracing::warn!(
                name = call.name,
                key = call.key.hex(),
                reason,
                "a stored entry cannot be read, and counts as missing"
            );
        }
    }

    pub(crate) fn unshareable(&self, call: &Call, reason: &str) {
        if self.warned.unshareable.first(call.key.digest()) {
            tracing::warn!(
                name = call.name,
                key = call.key.hex(),
                reason,
                "a value cannot be encoded: every caller computes it"
            );
        }
    }
}
