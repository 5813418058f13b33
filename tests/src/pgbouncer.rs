use std::fs;
use std::path::PathBuf;

use postgres::{Config, NoTls};
use tempfile::TempDir;

use crate::PostgresServer;
use crate::port::free_port;
use crate::server::{ServerProcess, find_program, server_dir};
use crate::user::{User, command_as};

/// A PgBouncer before a [`PostgresServer`].
#[derive(Debug)]
pub struct PgBouncer {
    process: Option<ServerProcess>,
    port: u16,
    // Last, so that it goes after the process.
    dir: TempDir,
}

/// How long a client keeps a server's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// As long as it is connected.
    Session,
    /// For a transaction: session locks cannot work.
    Transaction,
}

impl PgBouncer {
    /// Starts one before the server.
    pub fn start(server: &PostgresServer, mode: PoolMode) -> Self {
        Self::start_with_pool(server, mode, 20)
    }

    /// Starts one that keeps so many sessions with the server. Whoever comes when all are in use waits.
    pub fn start_with_pool(server: &PostgresServer, mode: PoolMode, sessions: usize) -> Self {
        let user = User::for_servers();
        let mut bouncer = Self {
            process: None,
            port: 0,
            dir: server_dir("pgbouncer", user),
        };
        for _ in 0..5 {
            bouncer.port = free_port();
            fs::write(
                bouncer.dir.path().join("ini"),
                bouncer.settings(server, mode, sessions),
            )
            .expect("cannot write");
            if bouncer.try_start(user) {
                return bouncer;
            }
        }
        panic!("PgBouncer does not start; its log:\n{}", bouncer.log());
    }

    fn settings(&self, server: &PostgresServer, mode: PoolMode, sessions: usize) -> String {
        let mode = if mode == PoolMode::Session {
            "session"
        } else {
            "transaction"
        };
        let (to, port) = (server.port(), self.port);
        // `auth_type = any`: everybody is the user named for the database.
        format!(
            "[databases]\n* = host=127.0.0.1 port={to} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = {mode}\ndefault_pool_size = {sessions}\nmax_client_conn = 500\n"
        )
    }

    fn try_start(&mut self, user: Option<User>) -> bool {
        let places = ["/usr/sbin", "/opt/homebrew/bin", "/usr/local/bin"].map(PathBuf::from);
        let mut command = command_as(user, find_program("pgbouncer", &places));
        command.arg(self.dir.path().join("ini"));
        let config: Config = self.url().parse().expect("our own URL");
        let mut process = ServerProcess::start(command, &self.log_file(), "KILL");
        let ready = process.wait_ready(|| config.connect(NoTls).is_ok());
        self.process = ready.then_some(process);
        ready
    }

    /// The URL through it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}
