//! A Redis server, cluster, or what sentinels name.

use std::sync::Arc;

use super::super::Builder;
#[cfg(not(all(feature = "redis", feature = "cluster", feature = "sentinel")))]
use super::not_enabled;
use crate::Error;
#[cfg(feature = "redis")]
use crate::store;
use crate::store::Store;

impl Builder {
    #[cfg(feature = "redis")]
    pub(super) fn redis_store(&self, url: &str) -> Result<Arc<dyn Store>, Error> {
        match url.split_once("://") {
            Some(("redis-cluster" | "rediss-cluster", _)) => self.redis_cluster(url),
            Some(("redis-sentinel" | "rediss-sentinel", _)) => self.redis_by_sentinels(url),
            _ => Ok(self.with_idle(store::Redis::new(url, &self.prefix)?)),
        }
    }

    #[cfg(feature = "redis")]
    fn with_idle(&self, redis: store::Redis) -> Arc<dyn Store> {
        Arc::new(redis.idle_disconnect(self.idle_disconnect))
    }

    #[cfg(feature = "sentinel")]
    fn redis_by_sentinels(&self, url: &str) -> Result<Arc<dyn Store>, Error> {
        Ok(self.with_idle(store::Redis::by_sentinels(url, &self.prefix)?))
    }

    #[cfg(all(feature = "redis", not(feature = "sentinel")))]
    fn redis_by_sentinels(&self, _url: &str) -> Result<Arc<dyn Store>, Error> {
        Err(not_enabled("sentinel"))
    }

    #[cfg(feature = "cluster")]
    fn redis_cluster(&self, url: &str) -> Result<Arc<dyn Store>, Error> {
        let cluster = store::RedisCluster::new(url, &self.prefix)?;
        Ok(Arc::new(cluster.idle_disconnect(self.idle_disconnect)))
    }

    #[cfg(all(feature = "redis", not(feature = "cluster")))]
    fn redis_cluster(&self, _url: &str) -> Result<Arc<dyn Store>, Error> {
        Err(not_enabled("cluster"))
    }

    #[cfg(not(feature = "redis"))]
    pub(super) fn redis_store(&self, _url: &str) -> Result<Arc<dyn Store>, Error> {
        Err(not_enabled("redis"))
    }
}
