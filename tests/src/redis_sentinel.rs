use std::fs;

use redis::Client;
use tempfile::TempDir;

use crate::port::free_port;
use crate::server::{ServerProcess, server_dir};
use crate::user::{User, command_as, give};
use crate::{Certificates, RedisKind, RedisServer};

/// A primary, a replica, and a sentinel that puts one in the place of the other.
#[derive(Debug)]
pub struct RedisSentinel {
    /// The primary, and the replica.
    pub servers: [RedisServer; 2],
    process: Option<ServerProcess>,
    port: u16,
    tls_port: u16,
    tls: Vec<String>,
    // Last, so that it goes after the process.
    dir: TempDir,
}

impl RedisSentinel {
    /// Starts them.
    pub fn start() -> Self {
        Self::of(RedisKind::Redis)
    }

    /// Starts them, each of this kind.
    pub fn of(kind: RedisKind) -> Self {
        let start = |settings: &[&str]| RedisServer::start_as(kind, settings);
        Self::start_by(Vec::new(), start)
    }

    /// Starts them with TLS between all of them, and a certificate for 127.0.0.1.
    pub fn with_tls(files: &Certificates) -> Self {
        let lines = files.of_redis("server");
        let lines = lines.chunks(2).map(|words| words.join(" "));
        let lines = lines.map(|line| line.trim_start_matches("--").to_owned());
        let mut lines: Vec<_> = lines.collect();
        lines.push("tls-replication yes".to_owned());
        Self::start_by(lines, |settings| {
            let settings = [settings, &["--tls-replication", "yes"]].concat();
            RedisServer::start_with_tls(files, "server", &settings)
        })
    }

    /// `tls` is what the sentinel's settings have about it.
    fn start_by(tls: Vec<String>, start: impl Fn(&[&str]) -> RedisServer) -> Self {
        let primary = start(&["--repl-diskless-sync-delay", "0"]);
        let port = primary.port_for_servers().to_string();
        let replica = start(&["--replicaof", "127.0.0.1", &port]);
        let user = User::for_servers();
        let mut sentinel = Self {
            servers: [primary, replica],
            process: None,
            port: 0,
            tls_port: 0,
            tls,
            dir: server_dir("sentinel", user),
        };
        for _ in 0..5 {
            sentinel.port = free_port();
            sentinel.tls_port = free_port();
            if sentinel.try_start(user) {
                return sentinel;
            }
        }
        panic!("the sentinel does not start");
    }

    fn try_start(&mut self, user: Option<User>) -> bool {
        let file = self.dir.path().join("conf");
        let primary = self.servers[0].port_for_servers();
        let mut settings = format!(
            "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor ours 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds ours 1000\nsentinel failover-timeout ours 5000\n",
            self.port,
            self.dir.path().display(),
        );
        if !self.tls.is_empty() {
            let port = self.tls_port;
            settings += &format!("tls-port {port}\n{}\n", self.tls.join("\n"));
        }
        fs::write(&file, settings).expect("cannot write");
        give(&file, user);
        let mut command = command_as(user, self.servers[0].program());
        command.arg(&file).arg("--sentinel");
        let log = self.dir.path().join("log");
        let mut process = ServerProcess::start(command, &log, "KILL");
        let ready = process.wait_ready(|| self.knows_the_replica());
        self.process = ready.then_some(process);
        ready
    }

    fn knows_the_replica(&self) -> bool {
        let url = format!("redis://127.0.0.1:{}", self.port);
        let info = Client::open(url).and_then(|client| {
            let mut connection = client.get_connection()?;
            redis::cmd("INFO")
                .arg("sentinel")
                .query::<String>(&mut connection)
        });
        info.is_ok_and(|info| info.contains("name=ours,status=ok") && info.contains("slaves=1"))
    }

    /// The sentinel's own port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL by the sentinel, and by one that does not answer.
    pub fn url(&self) -> String {
        self.url_by("redis-sentinel", self.port)
    }

    /// The same with TLS.
    pub fn tls_url(&self) -> String {
        self.url_by("rediss-sentinel", self.tls_port)
    }

    fn url_by(&self, scheme: &str, port: u16) -> String {
        let dead = free_port();
        format!("{scheme}://127.0.0.1:{dead},127.0.0.1:{port}/ours")
    }
}
