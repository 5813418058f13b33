use std::time::Duration;

use redis::ToRedisArgs;
use worksharing::Key;

use crate::{Certificates, Mesh, RedisKind, RedisServer, Run, wait_until};

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

    /// Starts one whose nodes speak TLS to each other, and call themselves `localhost`, for which their certificate is.
    pub fn with_tls(files: &Certificates) -> Self {
        let settings = ["--tls-cluster", "yes", "--tls-replication", "yes"];
        let name = ["--cluster-announce-hostname", "localhost"];
        let settings = [&settings[..], &name].concat();
        Self::start_by(&settings, |settings| {
            RedisServer::start_with_tls(files, "localhost", settings)
        })
    }

    fn start_as(kind: RedisKind, settings: &[&str]) -> Self {
        Self::start_by(settings, |settings| RedisServer::start_as(kind, settings))
    }

    fn start_by(settings: &[&str], start: impl Fn(&[&str]) -> RedisServer) -> Self {
        // A primary that is silent for a second is replaced by its replica.
        let usual = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        let soon = [
            "--repl-diskless-sync-delay",
            "0",
            "--cluster-replica-validity-factor",
            "0",
        ];
        let settings = [&usual[..], &soon, settings].concat();
        let cluster = Self {
            nodes: (0..2 * PRIMARIES).map(|_| start(&settings)).collect(),
        };
        cluster.meet();
        cluster.give_slots();
        cluster.replicate();
        cluster
    }

    fn meet(&self) {
        for node in &self.nodes[1..] {
            let port = node.port_for_servers().to_string();
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
        self.url_by("redis-cluster", "127.0.0.1", RedisServer::port)
    }

    /// The same with TLS.
    pub fn tls_url(&self) -> String {
        self.url_by("rediss-cluster", "localhost", RedisServer::tls_port)
    }

    fn url_by(&self, scheme: &str, host: &str, port: fn(&RedisServer) -> u16) -> String {
        let port = |at: usize| port(&self.nodes[at]);
        let (first, last) = (port(0), port(self.nodes.len() - 1));
        format!("{scheme}://{host}:{first},{host}:{last}")
    }

    /// The node that has a key's slot, another one, and the slot.
    fn owner(&self, key: &str) -> (&RedisServer, &RedisServer, String) {
        let name = format!("ws:{}", Key::new(key).hex());
        let slot: u16 = self.nodes[0].ask(&["CLUSTER", "KEYSLOT", &name]);
        let has = |node: &RedisServer| {
            let nodes: String = node.ask(&["CLUSTER", "NODES"]);
            let own = nodes.lines().find(|line| line.contains("myself"));
            own.expect("itself").split(' ').skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                first.parse().is_ok_and(|first: u16| first <= slot)
                    && last.parse().is_ok_and(|last: u16| slot <= last)
            })
        };
        let from = (0..PRIMARIES).find(|at| has(&self.nodes[*at]));
        let from = from.expect("somebody has it");
        let other = &self.nodes[(from + 1) % PRIMARIES];
        (&self.nodes[from], other, slot.to_string())
    }

    /// A key's slot is given to another node while it is used: what is not at the old node is asked of the new one, before
    /// and after it is known that it has it.
    pub fn move_slot_under(&self, mesh: &mut Mesh) {
        let (old, new, slot) = self.owner("moved");
        let set = |node: &RedisServer, state: &str, id: &str| {
            node.ask::<()>(&["CLUSTER", "SETSLOT", &slot, state, id]);
        };
        set(new, "IMPORTING", &old.id());
        set(old, "MIGRATING", &new.id());
        let run = Run::of("moved", Duration::from_millis(5));
        assert_eq!(mesh.bodies_of(&run), 1);
        assert_eq!(mesh.bodies_of(&run), 0, "ASK");
        assert_eq!(old.ask::<usize>(&["CLUSTER", "COUNTKEYSINSLOT", &slot]), 0);
        assert_eq!(new.ask::<usize>(&["CLUSTER", "COUNTKEYSINSLOT", &slot]), 1);
        assert_eq!(mesh.workers[0].invalidate("moved"), None);
        let bodies = mesh.bodies_of(&run);
        assert_eq!(bodies, 1, "a tombstone is asked for there, too");
        for node in [new, old] {
            set(node, "NODE", &new.id());
        }
        assert_eq!(mesh.bodies_of(&run), 0, "MOVED");
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
