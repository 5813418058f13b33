use std::fs;

use redis::Client;
use tempfile::TempDir;

use crate::RedisServer;
use crate::port::free_port;
use crate::server::{ServerProcess, find_program, server_dir};
use crate::user::{User, command_as, give};

/// A primary, a replica, and a sentinel that puts one in the place of the other.
#[derive(Debug)]
pub struct RedisSentinel {
    /// The primary, and the replica.
    pub servers: [RedisServer; 2],
    process: Option<ServerProcess>,
    port: u16,
    // Last, so that it goes after the process.
    dir: TempDir,
}

impl RedisSentinel {
    /// Starts them.
    pub fn start() -> Self {
        let primary = RedisServer::start_with(&["--repl-diskless-sync-delay", "0"]);
        let port = primary.port().to_string();
        let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]);
        let user = User::for_servers();
        let mut sentinel = Self {
            servers: [primary, replica],
            process: None,
            port: 0,
            dir: server_dir("sentinel", user),
        };
        for _ in 0..5 {
            sentinel.port = free_port();
            if sentinel.try_start(user) {
                return sentinel;
            }
        }
        panic!("the sentinel does not start");
    }

    fn try_start(&mut self, user: Option<User>) -> bool {
        let file = self.dir.path().join("conf");
        let primary = self.servers[0].port();
        let settings = format!(
            "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor ours 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds ours 1000\nsentinel failover-timeout ours 5000\n",
            self.port,
            self.dir.path().display(),
        );
        fs::write(&file, settings).expect("cannot write");
        give(&file, user);
        let mut command = command_as(user, find_program("redis-server", &[]));
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
        let (dead, port) = (free_port(), self.port);
        format!("redis-sentinel://127.0.0.1:{dead},127.0.0.1:{port}/ours")
    }
}
