mod backends;
mod validate;

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::backends::Backends;
use crate::backend::IDLE_DISCONNECT;
#[cfg(feature = "postgres")]
use crate::backend::postgres::outbox::Names;
use crate::computing::Computing;
use crate::detached::{Detached, Spawner};
use crate::events::Events;
use crate::flow::{Flights, Pauses, Unstorable, clamp};
use crate::lock::{Lock, PostgresLock};
use crate::namespace::Namespace;
use crate::near::Near;
use crate::runtime::{self, Runtime, Timeouts};
use crate::store::Store;
use crate::{BoxFuture, Error, WorkSharing};

/// The settings of a [`WorkSharing`].
///
/// | set | locks | values |
/// |---|---|---|
/// | nothing | in the process | in memory, up to 256 MiB |
/// | [`directory`](Self::directory) | file locks | files |
/// | [`postgres`](Self::postgres) | PostgreSQL | PostgreSQL |
/// | [`postgres`](Self::postgres) and [`redis`](Self::redis) | PostgreSQL | Redis |
#[derive(Debug)]
#[must_use = "call `build`"]
pub struct Builder {
    postgres: Option<Url>,
    redis: Option<Url>,
    lock_url: Option<Url>,
    lock_servers: Option<Vec<Url>>,
    directory: Option<PathBuf>,
    store: Option<Arc<dyn Store>>,
    lock: Option<Arc<dyn Lock>>,
    namespace: Option<String>,
    prefix: String,
    table: String,
    timeouts: Timeouts,
    max_held_keys: usize,
    max_value_bytes: usize,
    postgres_lock: PostgresLock,
    max_detached: usize,
    spawner: Option<Run>,
    transactional_invalidation: bool,
    local_bytes: usize,
    max_local_age: Duration,
    idle_disconnect: Duration,
}

/// What runs detached tasks.
struct Run(Spawner);

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// A server's URL, which may hold a password: `Debug` tells no part of it.
struct Url(String);

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            postgres: None,
            redis: None,
            lock_url: None,
            lock_servers: None,
            directory: None,
            store: None,
            lock: None,
            namespace: None,
            prefix: "ws:".to_owned(),
            table: "worksharing".to_owned(),
            timeouts: Timeouts::default(),
            max_held_keys: 1_024,
            max_value_bytes: 64 << 20,
            postgres_lock: PostgresLock::Auto,
            max_detached: 1_024,
            spawner: None,
            transactional_invalidation: false,
            local_bytes: 64 << 20,
            max_local_age: Duration::from_secs(1),
            idle_disconnect: IDLE_DISCONNECT,
        }
    }

    pub(crate) fn from_env() -> Self {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(read: impl Fn(&str) -> Option<String>) -> Self {
        let read = |name: &str| read(name).filter(|value| !value.is_empty());
        let mut builder = Self::new();
        builder.postgres = read("WORKSHARING_POSTGRES_URL")
            .or_else(|| read("DATABASE_URL"))
            .map(Url);
        builder.redis = read("WORKSHARING_REDIS_URL")
            .or_else(|| read("REDIS_URL"))
            .map(Url);
        builder.lock_url = read("WORKSHARING_LOCK_URL").map(Url);
        let servers = read("WORKSHARING_LOCK_SERVERS").filter(|urls| !urls.trim().is_empty());
        if let Some(urls) = servers {
            builder = builder.lock_servers(urls.split_whitespace());
        }
        if builder.postgres.is_none() {
            builder.directory = read("WORKSHARING_DIRECTORY").map(PathBuf::from);
        }
        builder.namespace = read("WORKSHARING_NAMESPACE");
        builder
    }

    /// The PostgreSQL server of the advisory locks, as `postgres://user:password@host:port/database` or in
    /// libpq's `key=value` form. It stores values too where there is no [`redis`](Self::redis).
    ///
    /// With the feature `tls`, `sslmode=require` wants TLS and a certificate that is for this host and by an
    /// authority that the machine trusts (libpq's `verify-full`); `SSL_CERT_FILE` in the environment names a
    /// file of other authorities to trust. `sslmode=prefer`, which is meant where nothing is written, takes TLS
    /// with any certificate, and no TLS where that fails, as libpq does: it protects from nobody who can alter
    /// what is sent.
    pub fn postgres(mut self, url: impl Into<String>) -> Self {
        self.postgres = Some(Url(url.into()));
        self
    }

    /// The PostgreSQL server of the locks and of what processes tell each other, where that is not the one of
    /// [`postgres`](Self::postgres): a direct URL beside one that goes through a pooler, or a server of its own. As a URL of
    /// the same forms. All processes that share work name the same one.
    pub fn lock_url(mut self, url: impl Into<String>) -> Self {
        self.lock_url = Some(Url(url.into()));
        self
    }

    /// Several PostgreSQL servers of the locks, each as in [`lock_url`](Self::lock_url): each key is locked on one of them, which
    /// all processes choose alike, by its digest. Where one is down its keys are computed without a lock, and no others.
    ///
    /// A server is known by host, port and database as they are written here, so all processes write them alike. The order
    /// does not matter, and one that is named twice counts once. Processes whose lists differ, as while a server is added,
    /// disagree only on the keys that move, which is one in as many as there are servers: these may be computed twice.
    ///
    /// What processes tell each other of changes, for [`local`](crate::Work::local), goes through the database of
    /// [`postgres`](Self::postgres), by a URL around poolers; where that is left out, through the server here that is the first
    /// in the alphabet. See [the page on operations](crate::docs::operations).
    pub fn lock_servers(mut self, urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let urls = urls.into_iter().map(|url| Url(url.into()));
        self.lock_servers = Some(urls.collect());
        self
    }

    /// The Redis server of the values, as `redis://host:port/database`, or `rediss://` with the feature
    /// `tls`: its certificate is verified as by `sslmode=require` of [`postgres`](Self::postgres).
    ///
    /// With the feature `cluster` also a Redis Cluster, by any of its nodes:
    /// `redis-cluster://user:password@host:7000,host:7001`, or `rediss-cluster://`. Reads and writes go to the primary that
    /// has the key. With the feature `sentinel` also the server that sentinels name:
    /// `redis-sentinel://user:password@host:26379,host:26379/master-name/database`, or `rediss-sentinel://`.
    ///
    /// A replica is not used: it tells what was there before an invalidation, too. A server is asked what it is when it is
    /// connected to, and once a second while it is used (`INFO replication`; one that does not tell this user is taken
    /// for a primary).
    ///
    /// A user of its own there needs `~ws:* +getrange +strlen +pttl +set +eval` (with the [`prefix`](Self::prefix)), in a cluster
    /// `+cluster|nodes +asking`, too.
    pub fn redis(mut self, url: impl Into<String>) -> Self {
        self.redis = Some(Url(url.into()));
        self
    }

    /// A directory for values and locks of the processes of one machine, instead of servers.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// A store of your own, instead of the others.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// A lock of your own, instead of the others.
    pub fn lock(mut self, lock: impl Lock) -> Self {
        self.lock = Some(Arc::new(lock));
        self
    }

    /// Put before every characteristic string as `namespace:`, for several applications on the same
    /// servers. A colon in it is refused: the namespace `shop` and the key `de:price` would be the namespace
    /// `shop:de` and the key `price`. Left out or empty: nothing is.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into()).filter(|namespace| !namespace.is_empty());
        self
    }

    /// Put before the 32 hex digits of a cache key in Redis and PostgreSQL. Left out: `ws:`. May be empty.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The table of values (and, with `_leases` behind it, of leases) in PostgreSQL, made at first use. Left
    /// out: `worksharing`. May name a schema: `cache.worksharing`.
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// How long a value lives where its function does not say. Left out: 300 seconds.
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.timeouts.default_ttl = ttl;
        self
    }

    /// How long an invalidation is remembered by the store. A computation in another process that takes
    /// longer, begun before the invalidation, could store an outdated value. At least
    /// [`FENCE_LIFE`](crate::store::FENCE_LIFE), at most ten years. Left out: one hour.
    pub fn tombstone_ttl(mut self, ttl: Duration) -> Self {
        self.timeouts.tombstone_ttl = clamp(ttl);
        self
    }

    /// How many keys this process holds in PostgreSQL at a time, on each of several [servers](Self::lock_servers); further
    /// callers queue in the process. Left out: 1,024. With PostgreSQL's defaults about 12,000 fit into the lock table of the whole server.
    pub fn max_held_keys(mut self, keys: usize) -> Self {
        self.max_held_keys = keys;
        self
    }

    /// The size of the largest entry that is stored, in bytes. A larger one is returned to its callers, not
    /// stored, and warned of. Left out: 64 MiB.
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// After how long a computation is warned of. It keeps its key for as long as it runs; so does a future that has
    /// begun to compute and is kept without being polled, which cannot be told from a long wait. Left out: 5 minutes.
    pub fn long_computation(mut self, time: Duration) -> Self {
        self.timeouts.long_computation = time;
        self
    }

    /// How keys are locked in PostgreSQL. Left out: [`PostgresLock::Auto`].
    pub fn postgres_lock(mut self, lock: PostgresLock) -> Self {
        self.postgres_lock = lock;
        self
    }

    /// How long this process does not try again after a computation that came to nothing, where an old value can be
    /// served instead (`stale_if_error`, `stale_while_revalidate`, `early_refresh`). Doubled with each failure in a row,
    /// up to 30 seconds. Left out: one second.
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.timeouts.retry_after = time;
        self
    }

    /// What runs the tasks of `detach`, in place of the caller's tokio runtime: it is called by the caller that begins
    /// the computation, in its own task, so that it can take task-locals along. It must run the task to its end, and
    /// must not block. A task that it drops is done by its caller, if it is still there.
    ///
    /// Left out: on the tokio runtime of the caller, with the feature `tokio`; outside of one, on a thread. Functions
    /// that are not async always run on a thread.
    ///
    /// ```
    /// use worksharing::WorkSharing;
    ///
    /// # fn main() -> Result<(), worksharing::Error> {
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// let handle = runtime.handle().clone(); // of a runtime for background work, say
    /// let sharing = WorkSharing::builder()
    ///     .spawner(move |task| drop(handle.spawn(task)))
    ///     .build()?;
    /// # drop(sharing);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawner(
        mut self,
        spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static,
    ) -> Self {
        self.spawner = Some(Run(Arc::new(spawn)));
        self
    }

    /// How many computations are detached from their callers at a time. Of more, each belongs to its caller, as without
    /// `detach`; values are not refreshed in the background. Left out: 1,024.
    pub fn max_detached(mut self, computations: usize) -> Self {
        self.max_detached = computations;
        self
    }

    /// Whether transactions in the database of [`postgres`](Self::postgres) may invalidate: what they do comes into effect
    /// with their commit, and not at all if they are rolled back. They run the statement of
    /// [`Work::invalidation_sql`](crate::Work::invalidation_sql), or call `worksharing_invalidate(text)` and
    /// `worksharing_invalidate_tag(text)` from a trigger or anywhere else; the names begin with that of the
    /// [`table`](Self::table). Left out: no.
    ///
    /// All processes that share a store set it alike. One of them looks into the outbox every 25 ms. The tables and
    /// functions are made at first use, or by [`WorkSharing::check`]; a role that may not make them is told, by the latter,
    /// what somebody else is to run: [`WorkSharing::outbox_sql`].
    ///
    /// See [the page on invalidation](crate::docs::invalidation).
    pub fn transactional_invalidation(mut self, yes: bool) -> Self {
        self.transactional_invalidation = yes;
        self
    }

    /// How old an invalidation must be before a value is stored that was computed after it: for bodies that read from
    /// replicas which lag behind. A leader that finds a younger tombstone under its key computes, and gives what comes of
    /// it to its callers, but does not store it. Left out: zero.
    pub fn settle(mut self, time: Duration) -> Self {
        self.timeouts.settle = time;
        self
    }

    /// How much memory the values may take that [`local`](crate::Work::local) keeps in this process, in bytes. Each counts
    /// as the length of its entry, which is encoded, and 256 bytes; decoded values of many small pieces, such as lists of
    /// short texts, take more. What is seldom asked for goes first; a value of more than a sixteenth of all, or of 4 MiB
    /// where that is more, is not kept. Left out: 64 MiB. No memory is taken before a value is kept.
    pub fn local_bytes(mut self, bytes: usize) -> Self {
        self.local_bytes = bytes;
        self
    }

    /// How long a value that [`local`](crate::Work::local) keeps in this process is used while changes cannot be heard: while
    /// PostgreSQL cannot be reached, behind a pooler that shares sessions, and always where there is no PostgreSQL but a
    /// directory, or a store of your own. So long a change may go unseen there. In memory, changes are always heard. Left
    /// out: one second.
    pub fn max_local_age(mut self, time: Duration) -> Self {
        self.max_local_age = clamp(time);
        self
    }

    /// After how long without anything to do the connections to servers are closed, and the threads end that they had: so
    /// that an idle process costs a server nothing, and a serverless PostgreSQL can sleep. The next call connects again, and
    /// is shared like any other. Left out: 5 minutes; `Duration::MAX` is never.
    ///
    /// PostgreSQL has something to do while this process holds a key or waits for one, while values that
    /// [`local`](crate::Work::local) keeps rely on hearing of changes, and always with
    /// [`transactional_invalidation`](Self::transactional_invalidation). The session that listens is closed sooner: 30
    /// seconds after nobody waits any more.
    pub fn idle_disconnect(mut self, time: Duration) -> Self {
        self.idle_disconnect = time;
        self
    }

    /// Checks the settings. Servers are connected to when they are first needed, or by
    /// [`WorkSharing::check`].
    ///
    /// # Errors
    /// A setting that cannot be, or a feature that is not enabled: says what was found, what is allowed and
    /// what to write.
    pub fn build(self) -> Result<WorkSharing, Error> {
        self.validate()?;
        let backends = self.backends()?;
        Ok(self.assemble(backends))
    }

    pub(crate) fn build_in_memory(self) -> WorkSharing {
        self.assemble(Backends::in_memory())
    }

    fn assemble(self, backends: Backends) -> WorkSharing {
        let Backends {
            store,
            lock,
            changes,
            board,
            ..
        } = backends;
        WorkSharing::new(Runtime {
            lock_scope: runtime::scope_of(&lock),
            store,
            lock,
            changes,
            near: Near::new(self.local_bytes, self.max_local_age),
            #[cfg(feature = "postgres")]
            outbox: backends.outbox,
            #[cfg(feature = "postgres")]
            names: Names::new(&self.table),
            namespace: Namespace::new(self.namespace),
            timeouts: self.timeouts,
            max_value_bytes: self.max_value_bytes,
            flights: Arc::new(Flights::default()),
            overflow: Arc::new(Flights::default()),
            pauses: Pauses::default(),
            detached: Arc::new(Detached::new(
                self.max_detached,
                self.spawner.map(|run| run.0),
            )),
            computing: Computing::new(board),
            unstorable: Unstorable::default(),
            events: Events::default(),
        })
    }
}
