//! What a builder's settings name: where values are kept, and who computes.

mod lock_servers;
mod redis;

use std::sync::Arc;

use super::Builder;
use crate::Error;
#[cfg(feature = "postgres")]
use crate::backend::postgres::outbox::{Names, Queue};
use crate::changes::{Changed, Changes, Epochs};
use crate::computing::Board;
#[cfg(feature = "postgres")]
use crate::lock::PostgresLock;
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

/// What a PostgreSQL server is there for, beside values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Keys are locked, and changes may be heard.
    Locks,
    /// Changes are heard, if it has sessions for that.
    Changes,
    /// Nothing else: it need not have sessions.
    Values,
}

/// What the settings have named so far. What is named first stays.
struct Named {
    store: Option<Arc<dyn Store>>,
    lock: Option<Arc<dyn Lock>>,
    epochs: Arc<Epochs>,
    changes: Option<Arc<dyn Changes>>,
    /// Who dies is forgotten by what held its keys: so it is where the locks are.
    board: Option<Arc<dyn Board>>,
    /// The one of several lock servers that has the URL of `postgres`, too.
    also_postgres: Option<Postgres>,
    /// The outbox, and whether the values stand beside it.
    #[cfg(feature = "postgres")]
    queue: Option<(Queue, bool)>,
}

impl Builder {
    pub(super) fn backends(&self) -> Result<Backends, Error> {
        let mut named = Named {
            store: self.store.clone(),
            lock: self.lock.clone(),
            epochs: Arc::new(Epochs::new()),
            changes: None,
            board: None,
            also_postgres: None,
            #[cfg(feature = "postgres")]
            queue: None,
        };
        self.name_redis(&mut named)?;
        self.name_lock_server(&mut named)?;
        self.name_lock_servers(&mut named)?;
        self.name_postgres(&mut named)?;
        self.name_directory(&mut named)?;
        self.is_complete(&named)?;
        let store = named.store.unwrap_or_else(|| {
            named.epochs = Arc::new(Epochs::alone());
            Arc::new(store::Memory::new())
        });
        let changes = Changed::new(named.epochs, named.changes);
        #[cfg(feature = "postgres")]
        let outbox = named
            .queue
            .map(|(queue, is_exact)| self.outbox(queue, &store, is_exact, &changes));
        Ok(Backends {
            #[cfg(feature = "postgres")]
            store: outbox.as_ref().map_or(store, Outbox::store),
            #[cfg(not(feature = "postgres"))]
            store,
            lock: named.lock.unwrap_or_else(|| Arc::new(lock::Local::new())),
            changes,
            board: named.board,
            #[cfg(feature = "postgres")]
            outbox,
        })
    }

    fn name_redis(&self, named: &mut Named) -> Result<(), Error> {
        if let Some(url) = &self.redis
            && named.store.is_none()
        {
            named.store = Some(self.redis_store(&url.0)?);
        }
        Ok(())
    }

    fn name_lock_server(&self, named: &mut Named) -> Result<(), Error> {
        if let Some(url) = &self.lock_url
            && named.lock.is_none()
        {
            let server = self.postgres_backends(&url.0, &named.epochs, Purpose::Locks)?;
            named.lock = Some(server.lock);
            named.board = Some(server.board);
            named.changes = Some(server.changes);
        }
        Ok(())
    }

    fn name_postgres(&self, named: &mut Named) -> Result<(), Error> {
        let Some(url) = &self.postgres else {
            return Ok(());
        };
        // Of changes, where there are several servers for the locks.
        let tells = self.lock_servers.is_some() && named.changes.is_none();
        let is_needed = named.store.is_none() || named.lock.is_none() || tells;
        if !is_needed && !self.transactional_invalidation {
            return Ok(());
        }
        let server = match (named.also_postgres.take(), &named.changes) {
            (Some(server), _) => server,
            (None, None) => {
                let purpose = match named.lock {
                    None => Purpose::Locks,
                    Some(_) => Purpose::Changes,
                };
                self.postgres_backends(&url.0, &named.epochs, purpose)?
            }
            (None, Some(_)) => {
                let epochs = Arc::new(Epochs::new());
                self.postgres_backends(&url.0, &epochs, Purpose::Values)?
            }
        };
        #[cfg(feature = "postgres")]
        {
            let is_exact = named.store.is_none();
            named.queue = server.queue.map(|queue| (queue, is_exact));
        }
        named.store.get_or_insert(server.store);
        if named.lock.is_none() {
            named.lock = Some(server.lock);
            named.board = Some(server.board);
        }
        named.changes.get_or_insert(server.changes);
        Ok(())
    }

    fn name_directory(&self, named: &mut Named) -> Result<(), Error> {
        let Some(path) = &self.directory else {
            return Ok(());
        };
        if named.store.is_none() {
            named.store = Some(Arc::new(store::Directory::new(path)?));
        }
        if named.lock.is_none() {
            let directory = lock::Directory::new(path)?;
            named.board = Some(directory.board());
            named.lock = Some(Arc::new(directory));
        }
        Ok(())
    }

    fn is_complete(&self, named: &Named) -> Result<(), Error> {
        let has_own = self.lock_url.is_some() || self.lock_servers.is_some();
        if named.store.is_none() && has_own {
            return Err(Error::setting(
                "there is a server for the locks (`lock_url`, `lock_servers`), but nothing for the values: add \
                 `.redis(\"redis://…\")`, or `.postgres(\"postgres://…\")` with the same server or another",
            ));
        }
        if self.redis.is_some() && named.lock.is_none() {
            return Err(Error::setting(
                "there is a Redis for the values, but nothing for the locks: add the PostgreSQL server that \
                 your processes share, `.postgres(\"postgres://…\")` or the environment variable \
                 WORKSHARING_POSTGRES_URL; for a single process write `.lock(worksharing::lock::Local::new())`",
            ));
        }
        Ok(())
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

    #[cfg(feature = "postgres")]
    fn postgres_backends(
        &self,
        url: &str,
        epochs: &Arc<Epochs>,
        purpose: Purpose,
    ) -> Result<Postgres, Error> {
        let transactional = self.transactional_invalidation;
        let namespace = Namespace::new(self.namespace.clone());
        let server = crate::backend::postgres::Server::new(crate::backend::postgres::Settings {
            url,
            prefix: &self.prefix,
            table: &self.table,
            max_held_keys: self.max_held_keys,
            lock: match (purpose, self.postgres_lock) {
                (Purpose::Locks, lock) => lock,
                (Purpose::Values, _) | (_, PostgresLock::Lease) => PostgresLock::Lease,
                (Purpose::Changes, _) => PostgresLock::Auto,
            },
            locks: purpose == Purpose::Locks,
            idle_disconnect: self.idle_disconnect,
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
    fn postgres_backends(
        &self,
        _url: &str,
        _epochs: &Arc<Epochs>,
        _purpose: Purpose,
    ) -> Result<Postgres, Error> {
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
