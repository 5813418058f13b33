use std::time::Duration;

use redis::ToRedisArgs;

use crate::{RedisKind, RedisServer, wait_until};

/// A Redis Cluster of this test's own: three primaries with a third of the slots each, and a replica of each.
#[derive(Debug)]
pub struct RedisCluster {
    /// The primaries, then the replicas in the same order.
    pub nodes: Vec<RedisServer>,
}

const PRIMARIES: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);

impl RedisCluster {
    /// Starts one.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one of nodes of this kind.
    pub fn of(kind: RedisKind) -> Self {
        Self::start_as(kind, &[])
    }

    /// Starts one with these words behind the usual ones on each command line.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::start_as(RedisKind::Redis, settings)
    }

    fn start_as(kind: RedisKind, settings: &[&str]) -> Self {
        // A primary that is silent for a second is replaced by its replica.
        let usual = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        let soon = [
            "--repl-diskless-sync-delay",
            "0",
            "--cluster-replica-validity-factor",
            "0",
        ];
        let settings = [&usual[..], &soon, settings].concat();
        let start = |_| RedisServer::start_as(kind, &settings);
        let cluster = Self {
            nodes: (0..2 * PRIMARIES).map(start).collect(),
        };
        cluster.meet();
        cluster.give_slots();
        cluster.replicate();
        cluster
    }

    fn meet(&self) {
        for node in &self.nodes[1..] {
            let port = node.port().to_string();
            self.nodes[0].ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port]);
        }
        self.wait_until("all know each other", |node| {
            let known: String = node.ask(&["CLUSTER", "NODES"]);
            known
                .lines()
                .filter(|line| !line.contains("handshake"))
                .count()
                == self.nodes.len()
        });
    }

    fn give_slots(&self) {
        for (at, node) in self.nodes[..PRIMARIES].iter().enumerate() {
            let bound = |at| 16_384 * at / PRIMARIES;
            let (first, last) = (bound(at).to_string(), (bound(at + 1) - 1).to_string());
            node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
    }

    fn replicate(&self) {
        for at in 0..PRIMARIES {
            let id = self.nodes[at].id();
            self.nodes[PRIMARIES + at].ask::<()>(&["CLUSTER", "REPLICATE", &id]);
        }
        self.wait_until_whole();
        self.wait_until("the replicas follow", |node| {
            let info: String = node.ask(&["INFO", "replication"]);
            info.contains("master_link_status:up") || info.contains("connected_slaves:1")
        });
    }

    /// Waits until every node that runs finds all slots served.
    pub fn wait_until_whole(&self) {
        self.wait_until("the cluster is whole", |node| {
            let info: String = node.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok")
        });
    }

    /// Waits until every node that runs says so.
    pub fn wait_until(&self, what: &str, says: impl Fn(&RedisServer) -> bool) {
        for node in self.nodes.iter().filter(|node| node.runs()) {
            wait_until(LIMIT, what, || says(node));
        }
    }

    /// The URL of the cluster, by its first and its last node.
    pub fn url(&self) -> String {
        let port = |at: usize| self.nodes[at].port();
        let (first, last) = (port(0), port(self.nodes.len() - 1));
        format!("redis-cluster://127.0.0.1:{first},127.0.0.1:{last}")
    }
}

impl RedisServer {
    /// What it answers to a command.
    ///
    /// # Panics
    /// It refuses, or does not run.
    pub fn ask<T: redis::FromRedisValue>(&self, words: &[impl ToRedisArgs]) -> T {
        let answer = redis::Cmd::new().arg(words).query(&mut self.connect());
        answer.unwrap_or_else(|error| panic!("refused: {error}"))
    }

    /// Its id in a cluster.
    pub fn id(&self) -> String {
        self.ask(&["CLUSTER", "MYID"])
    }
}
