use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::events::Events;
use crate::flow::{Flights, Unstorable};
use crate::lock::{self, Lock, PostgresLock};
use crate::runtime::{self, Runtime};
use crate::store::{self, Store};
use crate::{Error, WorkSharing};

/// The settings of a [`WorkSharing`].
///
/// | set | locks | values |
/// |---|---|---|
/// | nothing | in the process | in memory |
/// | [`directory`](Self::directory) | file locks | files |
/// | [`postgres`](Self::postgres) | PostgreSQL | PostgreSQL |
/// | [`postgres`](Self::postgres) and [`redis`](Self::redis) | PostgreSQL | Redis |
#[derive(Debug)]
#[must_use = "call `build`"]
pub struct Builder {
    postgres: Option<String>,
    redis: Option<String>,
    directory: Option<PathBuf>,
    store: Option<Arc<dyn Store>>,
    lock: Option<Arc<dyn Lock>>,
    namespace: Option<String>,
    prefix: String,
    table: String,
    default_ttl: Duration,
    tombstone_ttl: Duration,
    max_held_keys: usize,
    max_value_bytes: usize,
    long_computation: Duration,
    postgres_lock: PostgresLock,
}

/// Where values are kept, and who computes.
type Backends = (Arc<dyn Store>, Arc<dyn Lock>);

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            postgres: None,
            redis: None,
            directory: None,
            store: None,
            lock: None,
            namespace: None,
            prefix: "ws:".to_owned(),
            table: "worksharing".to_owned(),
            default_ttl: Duration::from_secs(300),
            tombstone_ttl: Duration::from_secs(3600),
            max_held_keys: 1_024,
            max_value_bytes: 64 << 20,
            long_computation: Duration::from_secs(300),
            postgres_lock: PostgresLock::Auto,
        }
    }

    pub(crate) fn from_env() -> Self {
        let read = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let mut builder = Self::new();
        builder.postgres = read("WORKSHARING_POSTGRES_URL").or_else(|| read("DATABASE_URL"));
        builder.redis = read("WORKSHARING_REDIS_URL").or_else(|| read("REDIS_URL"));
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
        self.postgres = Some(url.into());
        self
    }

    /// The Redis server of the values, as `redis://host:port/database`, or `rediss://` with the feature
    /// `tls`: its certificate is verified as by `sslmode=require` of [`postgres`](Self::postgres).
    pub fn redis(mut self, url: impl Into<String>) -> Self {
        self.redis = Some(url.into());
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
    /// servers. Left out or empty: nothing is.
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
        self.default_ttl = ttl;
        self
    }

    /// How long an invalidation is remembered by the store. A computation in another process that takes
    /// longer, begun before the invalidation, could store an outdated value. Left out: one hour.
    pub fn tombstone_ttl(mut self, ttl: Duration) -> Self {
        self.tombstone_ttl = ttl;
        self
    }

    /// How many keys this process holds in PostgreSQL at a time; further callers queue in the process.
    /// Left out: 1,024. With PostgreSQL's defaults about 12,000 fit into the lock table of the whole server.
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
        self.long_computation = time;
        self
    }

    /// How keys are locked in PostgreSQL. Left out: [`PostgresLock::Auto`].
    pub fn postgres_lock(mut self, lock: PostgresLock) -> Self {
        self.postgres_lock = lock;
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
        let (store, lock) = self.backends()?;
        Ok(self.assemble(store, lock))
    }

    pub(crate) fn build_in_memory(self) -> WorkSharing {
        self.assemble(Arc::new(store::Memory::new()), Arc::new(lock::Local::new()))
    }

    fn assemble(self, store: Arc<dyn Store>, lock: Arc<dyn Lock>) -> WorkSharing {
        WorkSharing::new(Runtime {
            lock_scope: runtime::scope_of(&lock),
            store,
            lock,
            namespace: self.namespace,
            default_ttl: self.default_ttl,
            tombstone_ttl: self.tombstone_ttl,
            max_value_bytes: self.max_value_bytes,
            long_computation: self.long_computation,
            flights: Arc::new(Flights::default()),
            unstorable: Unstorable::default(),
            events: Events::default(),
        })
    }

    fn validate(&self) -> Result<(), Error> {
        for (name, text) in [
            ("namespace", self.namespace.as_deref()),
            ("prefix", Some(&*self.prefix)),
        ] {
            if let Some(text) = text.filter(|text| text.chars().any(char::is_control)) {
                return Err(Error::setting(format!(
                    "the {name} {text:?} has control characters in it: write printable text, for example \
                     `.{name}(\"billing\")`"
                )));
            }
        }
        for (name, ttl) in [
            ("default_ttl", self.default_ttl),
            ("tombstone_ttl", self.tombstone_ttl),
        ] {
            if ttl.is_zero() {
                return Err(Error::setting(format!(
                    "{name} is zero, so nothing would ever be kept: write a time above zero, for example \
                     `.{name}(Duration::from_secs(300))`"
                )));
            }
        }
        for (name, number) in [
            ("max_held_keys", self.max_held_keys),
            ("max_value_bytes", self.max_value_bytes),
        ] {
            if number == 0 {
                return Err(Error::setting(format!(
                    "{name} is 0: write a number of 1 or more, or leave it out"
                )));
            }
        }
        Ok(())
    }

    fn backends(&self) -> Result<Backends, Error> {
        let (mut store, mut lock) = (self.store.clone(), self.lock.clone());
        if let Some(url) = &self.redis
            && store.is_none()
        {
            store = Some(self.redis_store(url)?);
        }
        if let Some(url) = &self.postgres
            && (store.is_none() || lock.is_none())
        {
            let (values, locks) = self.postgres_backends(url)?;
            store.get_or_insert(values);
            lock.get_or_insert(locks);
        }
        if let Some(path) = &self.directory {
            if store.is_none() {
                store = Some(Arc::new(store::Directory::new(path)?));
            }
            if lock.is_none() {
                lock = Some(Arc::new(lock::Directory::new(path)?));
            }
        }
        if self.redis.is_some() && lock.is_none() {
            return Err(Error::setting(
                "there is a Redis for the values, but nothing for the locks: add the PostgreSQL server that \
                 your processes share, `.postgres(\"postgres://…\")` or the environment variable \
                 WORKSHARING_POSTGRES_URL; for a single process write `.lock(worksharing::lock::Local::new())`",
            ));
        }
        Ok((
            store.unwrap_or_else(|| Arc::new(store::Memory::new())),
            lock.unwrap_or_else(|| Arc::new(lock::Local::new())),
        ))
    }

    #[cfg(feature = "redis")]
    fn redis_store(&self, url: &str) -> Result<Arc<dyn Store>, Error> {
        Ok(Arc::new(store::Redis::new(url, &self.prefix)?))
    }

    #[cfg(not(feature = "redis"))]
    fn redis_store(&self, _url: &str) -> Result<Arc<dyn Store>, Error> {
        Err(not_enabled("redis"))
    }

    #[cfg(feature = "postgres")]
    fn postgres_backends(&self, url: &str) -> Result<Backends, Error> {
        let server = crate::backend::postgres::Server::new(crate::backend::postgres::Settings {
            url,
            prefix: &self.prefix,
            table: &self.table,
            max_held_keys: self.max_held_keys,
            lock: self.postgres_lock,
        })?;
        Ok((
            Arc::new(store::Postgres::new(&server)),
            Arc::new(lock::Postgres::new(&server)),
        ))
    }

    #[cfg(not(feature = "postgres"))]
    fn postgres_backends(&self, _url: &str) -> Result<Backends, Error> {
        Err(not_enabled("postgres"))
    }
}

#[cfg(not(all(feature = "postgres", feature = "redis")))]
fn not_enabled(feature: &str) -> Error {
    Error::setting(format!(
        "a {feature} URL is set, but worksharing was built without the feature `{feature}`: write \
         `worksharing = {{ version = \"{}\", features = [\"{feature}\"] }}` in Cargo.toml",
        env!("CARGO_PKG_VERSION"),
    ))
}
