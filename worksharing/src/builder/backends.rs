//! What a builder's settings name: where values are kept, and who computes.

use std::sync::Arc;

use super::Builder;
use crate::Error;
#[cfg(feature = "postgres")]
use crate::backend::postgres::outbox::{Names, Queue};
use crate::changes::{Changed, Changes, Epochs};
use crate::computing::Board;
use crate::lock::{self, Lock};
#[cfg(feature = "postgres")]
use crate::namespace::Namespace;
#[cfg(feature = "postgres")]
use crate::outbox::Outbox;
use crate::store::{self, Store};

/// Where values are kept, who computes, and who is told of changes.
pub(super) struct Backends {
    pub(super) store: Arc<dyn Store>,
    pub(super) lock: Arc<dyn Lock>,
    pub(super) changes: Arc<Changed>,
    /// Where processes tell what they compute.
    pub(super) board: Option<Arc<dyn Board>>,
    /// What transactions invalidate.
    #[cfg(feature = "postgres")]
    pub(super) outbox: Option<Arc<Outbox>>,
}

impl Backends {
    /// Of this process alone.
    pub(super) fn in_memory() -> Self {
        Self {
            store: Arc::new(store::Memory::new()),
            lock: Arc::new(lock::Local::new()),
            changes: Changed::new(Arc::new(Epochs::alone()), None),
            board: None,
            #[cfg(feature = "postgres")]
            outbox: None,
        }
    }
}

/// What a PostgreSQL server is to a runtime.
struct Postgres {
    store: Arc<dyn Store>,
    lock: Arc<dyn Lock>,
    changes: Arc<dyn Changes>,
    board: Arc<dyn Board>,
    #[cfg(feature = "postgres")]
    queue: Option<Queue>,
}

impl Builder {
    pub(super) fn backends(&self) -> Result<Backends, Error> {
        let (mut store, mut lock) = (self.store.clone(), self.lock.clone());
        let (mut epochs, mut others, mut board) = (Arc::new(Epochs::new()), None, None);
        #[cfg(feature = "postgres")]
        let (mut queue, mut is_exact) = (None, false);
        if let Some(url) = &self.redis
            && store.is_none()
        {
            store = Some(self.redis_store(&url.0)?);
        }
        if let Some(url) = &self.postgres
            && (store.is_none() || lock.is_none() || self.transactional_invalidation)
        {
            let postgres = self.postgres_backends(&url.0, &epochs)?;
            #[cfg(feature = "postgres")]
            {
                (queue, is_exact) = (postgres.queue, store.is_none());
            }
            store.get_or_insert(postgres.store);
            // Who dies is forgotten by what held its keys: it is told where the locks are.
            board = lock.is_none().then_some(postgres.board);
            lock.get_or_insert(postgres.lock);
            others = Some(postgres.changes);
        }
        if let Some(path) = &self.directory {
            if store.is_none() {
                store = Some(Arc::new(store::Directory::new(path)?));
            }
            if lock.is_none() {
                let directory = lock::Directory::new(path)?;
                board = Some(directory.board());
                lock = Some(Arc::new(directory));
            }
        }
        if self.redis.is_some() && lock.is_none() {
            return Err(Error::setting(
                "there is a Redis for the values, but nothing for the locks: add the PostgreSQL server that \
                 your processes share, `.postgres(\"postgres://…\")` or the environment variable \
                 WORKSHARING_POSTGRES_URL; for a single process write `.lock(worksharing::lock::Local::new())`",
            ));
        }
        let store = store.unwrap_or_else(|| {
            epochs = Arc::new(Epochs::alone());
            Arc::new(store::Memory::new())
        });
        let changes = Changed::new(epochs, others);
        #[cfg(feature = "postgres")]
        let outbox = queue.map(|queue| self.outbox(queue, &store, is_exact, &changes));
        Ok(Backends {
            #[cfg(feature = "postgres")]
            store: outbox.as_ref().map_or(store, Outbox::store),
            #[cfg(not(feature = "postgres"))]
            store,
            lock: lock.unwrap_or_else(|| Arc::new(lock::Local::new())),
            changes,
            board,
            #[cfg(feature = "postgres")]
            outbox,
        })
    }

    #[cfg(feature = "postgres")]
    fn outbox(
        &self,
        queue: Queue,
        store: &Arc<dyn Store>,
        is_exact: bool,
        changes: &Arc<Changed>,
    ) -> Arc<Outbox> {
        let namespace = Namespace::new(self.namespace.clone());
        let ttl = self.timeouts.tombstone_ttl;
        let (store, changes) = (Arc::clone(store), Arc::clone(changes));
        Outbox::new(queue, store, is_exact, namespace, ttl, changes)
    }

    #[cfg(feature = "redis")]
    fn redis_store(&self, url: &str) -> Result<Arc<dyn Store>, Error> {
        match url.split_once("://") {
            Some(("redis-cluster" | "rediss-cluster", _)) => self.redis_cluster(url),
            Some(("redis-sentinel" | "rediss-sentinel", _)) => self.redis_by_sentinels(url),
            _ => Ok(Arc::new(store::Redis::new(url, &self.prefix)?)),
        }
    }

    #[cfg(feature = "sentinel")]
    fn redis_by_sentinels(&self, url: &str) -> Result<Arc<dyn Store>, Error> {
        Ok(Arc::new(store::Redis::by_sentinels(url, &self.prefix)?))
    }

    #[cfg(all(feature = "redis", not(feature = "sentinel")))]
    fn redis_by_sentinels(&self, _url: &str) -> Result<Arc<dyn Store>, Error> {
        Err(not_enabled("sentinel"))
    }

    #[cfg(feature = "cluster")]
    fn redis_cluster(&self, url: &str) -> Result<Arc<dyn Store>, Error> {
        Ok(Arc::new(store::RedisCluster::new(url, &self.prefix)?))
    }

    #[cfg(all(feature = "redis", not(feature = "cluster")))]
    fn redis_cluster(&self, _url: &str) -> Result<Arc<dyn Store>, Error> {
        Err(not_enabled("cluster"))
    }

    #[cfg(not(feature = "redis"))]
    fn redis_store(&self, _url: &str) -> Result<Arc<dyn Store>, Error> {
        Err(not_enabled("redis"))
    }

    #[cfg(feature = "postgres")]
    fn postgres_backends(&self, url: &str, epochs: &Arc<Epochs>) -> Result<Postgres, Error> {
        let transactional = self.transactional_invalidation;
        let namespace = Namespace::new(self.namespace.clone());
        let server = crate::backend::postgres::Server::new(crate::backend::postgres::Settings {
            url,
            prefix: &self.prefix,
            table: &self.table,
            max_held_keys: self.max_held_keys,
            lock: self.postgres_lock,
            outbox: transactional.then(|| (Names::new(&self.table), namespace)),
            epochs: Arc::clone(epochs),
        })?;
        Ok(Postgres {
            store: Arc::new(store::Postgres::new(&server)),
            lock: Arc::new(lock::Postgres::new(&server)),
            queue: transactional.then(|| Queue::new(&server)),
            board: Arc::clone(&server) as _,
            changes: server,
        })
    }

    #[cfg(not(feature = "postgres"))]
    fn postgres_backends(&self, _url: &str, _epochs: &Arc<Epochs>) -> Result<Postgres, Error> {
        Err(not_enabled("postgres"))
    }
}

#[cfg(not(all(
    feature = "postgres",
    feature = "redis",
    feature = "cluster",
    feature = "sentinel"
)))]
fn not_enabled(feature: &str) -> Error {
    Error::setting(format!(
        "a {feature} URL is set, but worksharing was built without the feature `{feature}`: write \
         `worksharing = {{ version = \"{}\", features = [\"{feature}\"] }}` in Cargo.toml",
        env!("CARGO_PKG_VERSION"),
    ))
}
