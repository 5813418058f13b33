//! Values in a Redis Cluster: each key at the node that has its slot.
//!
//! Every command is about one key, so none of them needs its keys to be together. What is asked of one node at the same
//! time goes as one pipeline, and the nodes are asked beside each other.

mod map;
mod nodes;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};

use self::nodes::{Node, Nodes};
use super::address::Address;
use super::check;
use super::refusal::refusal;
use super::store::Redis;
use crate::backend::tls;
use crate::blocking::poll_one_of_several;
use crate::store::{Fence, Look, Store, Stored};
use crate::{BoxFuture, Error, ErrorKind, Key};

/// Values in a Redis Cluster. Each primary has at most two connections of a process, opened when they are first needed.
///
/// Reads and writes go to primaries. When one fails, the calls for its keys go on without a store until the cluster has
/// promoted another.
pub struct RedisCluster {
    nodes: Arc<Nodes>,
    prefix: String,
}

/// So often a call is sent on before its error counts.
const REDIRECTIONS: usize = 5;

impl RedisCluster {
    /// A store on the cluster that these nodes belong to, `redis-cluster://[user:password@]host:port,host:port`
    /// (`rediss-cluster://` for TLS). One that answers is enough to find the others. Keys are `prefix` and 32 hex digits;
    /// a part of the prefix in braces puts all of them on one node.
    ///
    /// # Errors
    /// The URL is not one of a Redis Cluster.
    pub fn new(url: &str, prefix: &str) -> Result<Self, Error> {
        let seeds = Address::parse_cluster(url, tls::BUILT_IN)?;
        Ok(Self {
            nodes: Arc::new(Nodes::new(seeds, prefix)),
            prefix: prefix.to_owned(),
        })
    }

    /// The same, with connections that are closed after so long without being asked.
    pub(crate) fn idle_disconnect(mut self, time: Duration) -> Self {
        // No call is under way yet.
        if let Some(nodes) = Arc::get_mut(&mut self.nodes) {
            nodes.idle_disconnect = time;
        }
        self
    }

    fn slot(&self, key: &Key) -> u16 {
        map::slot(&key.hex_after(&self.prefix))
    }

    /// Runs it at the node that has the key, wherever that has gone. What may have taken effect, and is not to do so
    /// twice, is sent on only by a node that has refused it.
    async fn at_its_node<T, F: Future<Output = Result<T, Error>>>(
        &self,
        key: &Key,
        may_be_sent_again: bool,
        run: impl Fn(Redis) -> F,
    ) -> Result<T, Error> {
        let slot = self.slot(key);
        let mut node = self.nodes.of(slot).await?;
        for _ in 0..REDIRECTIONS {
            let error = match run(node.redis.clone()).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            if refusal(&error).is_none() && !may_be_sent_again {
                return Err(error);
            }
            match self.nodes.elsewhere(slot, &node, &error).await {
                Some(other) => node = other,
                None => return Err(error),
            }
        }
        Err(Error::unavailable(format!(
            "the nodes of the Redis Cluster send slot {slot} from one to the other"
        )))
    }

    async fn get_from_its_node(&self, key: &Key, look: Look) -> Result<Option<Stored>, Error> {
        let get = |node: Redis| async move { node.get_one(key, look).await };
        self.at_its_node(key, true, get).await
    }

    /// The nodes that have the keys, each once, with the places of its keys.
    async fn by_node(&self, keys: &[Key]) -> Result<Vec<(Node, Vec<usize>)>, Error> {
        let mut nodes: Vec<(Node, Vec<usize>)> = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            let node = self.nodes.of(self.slot(key)).await?;
            match nodes
                .iter_mut()
                .find(|(other, _)| other.place == node.place)
            {
                Some((_, places)) => places.push(at),
                None => nodes.push((node, vec![at])),
            }
        }
        Ok(nodes)
    }

    /// All of one node, or, where that does not have them all any more, each from its own.
    async fn get_together(
        &self,
        node: &Node,
        keys: Vec<Key>,
        look: Look,
    ) -> Result<Vec<Option<Stored>>, Error> {
        if let Ok(found) = node.redis.get(&keys, look).await {
            return Ok(found);
        }
        let each = keys
            .iter()
            .map(|key| beside(self.get_from_its_node(key, look)));
        try_join_all(each).await
    }

    async fn check_all(&self) -> Result<(), Error> {
        let map = self.nodes.read_anew().await.map_err(check::of_a_cluster)?;
        if let Some(slot) = map.gap() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "no primary of the Redis Cluster has slot {slot}, so not every key can be kept: see CLUSTER \
                     NODES, and give it to one"
                ),
            ));
        }
        for place in map.primaries() {
            let node = self.nodes.at(&place)?;
            check::of_a_node(&node.redis, |key| {
                map.primary(self.slot(key)) == Some(&place)
            })
            .await?;
        }
        Ok(())
    }
}

/// One of several that are asked at the same time: a thread that blocks for all of them asks the next before it waits.
fn beside<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let mut future = Box::pin(future);
    poll_fn(move |context| poll_one_of_several(|| future.as_mut().poll(context)))
}

impl Drop for RedisCluster {
    fn drop(&mut self) {
        self.nodes.forget_reading();
    }
}

impl Store for RedisCluster {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        Box::pin(async move {
            let nodes = self.by_node(keys).await?;
            let found = nodes.iter().map(|(node, places)| {
                let keys = places.iter().map(|at| keys[*at].clone()).collect();
                beside(self.get_together(node, keys, look))
            });
            let mut all: Vec<_> = keys.iter().map(|_| None).collect();
            for (found, (_, places)) in try_join_all(found).await?.into_iter().zip(&nodes) {
                for (stored, at) in found.into_iter().zip(places) {
                    all[*at] = stored;
                }
            }
            Ok(all)
        })
    }

    fn get_one<'a>(
        &'a self,
        key: &'a Key,
        look: Look,
    ) -> BoxFuture<'a, Result<Option<Stored>, Error>> {
        Box::pin(self.get_from_its_node(key, look))
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let put = |node: Redis| {
                let (entry, fence) = (entry.clone(), fence.clone());
                async move { node.write(key, entry, ttl, Some(fence)).await }
            };
            self.at_its_node(key, true, put).await
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let replace = |node: Redis| {
                let entry = entry.clone();
                async move { node.write(key, entry, ttl, None).await.map(drop) }
            };
            self.at_its_node(key, false, replace).await
        })
    }

    fn keep<'a>(&'a self, keys: &'a [Key], ttl: Duration) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let keep = |key| {
                let keep = move |node: Redis| async move {
                    node.keep(std::slice::from_ref(key), ttl).await
                };
                beside(self.at_its_node(key, true, keep))
            };
            try_join_all(keys.iter().map(keep)).await.map(drop)
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.check_all())
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let nodes = self.nodes.connected();
            let flushed = join_all(nodes.iter().map(|node| node.redis.flush())).await;
            flushed.into_iter().collect()
        })
    }
}

impl fmt::Debug for RedisCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisCluster").field(&self.nodes).finish()
    }
}
