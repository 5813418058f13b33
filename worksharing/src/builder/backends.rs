//! What a builder's settings name: where values are kept, and who computes.

use std::sync::Arc;

use super::Builder;
use crate::Error;
use crate::lock::{self, Lock};
use crate::store::{self, Store};

type Backends = (Arc<dyn Store>, Arc<dyn Lock>);

impl Builder {
    pub(super) fn backends(&self) -> Result<Backends, Error> {
        let (mut store, mut lock) = (self.store.clone(), self.lock.clone());
        if let Some(url) = &self.redis
            && store.is_none()
        {
            store = Some(self.redis_store(&url.0)?);
        }
        if let Some(url) = &self.postgres
            && (store.is_none() || lock.is_none())
        {
            let (values, locks) = self.postgres_backends(&url.0)?;
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
