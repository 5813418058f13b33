use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use redis::{Client, Connection};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::Certificates;
use crate::port::free_port;
use crate::server::{PATIENCE, ServerProcess, find_program, server_dir};
use crate::user::{User, command_as};

/// What a server that speaks Redis' protocol is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedisKind {
    /// Redis.
    #[default]
    Redis,
    /// Valkey, which goes on where Redis was free software last.
    Valkey,
}

impl RedisKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Redis, Self::Valkey];

    /// Its program, where this user can run it.
    fn program(self, user: Option<User>, dir: &Path) -> PathBuf {
        if self == Self::Redis {
            return find_program("redis-server", &[]);
        }
        // Where tests/run puts it on machines that have no package of it.
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/valkey/bin");
        let program = find_program("valkey-server", &[installed]);
        if user.is_none() {
            return program;
        }
        // Another user may not look into this one's directories.
        let copy = dir.join("valkey-server");
        fs::copy(&program, &copy).expect("cannot copy");
        copy
    }
}

/// A Redis server of this test's own, which keeps nothing on the disk: a restart empties it.
#[derive(Debug)]
pub struct RedisServer {
    program: PathBuf,
    process: Option<ServerProcess>,
    port: u16,
    tls: Option<Tls>,
    settings: Vec<String>,
    user: Option<User>,
    // Last, so that it goes after the process.
    dir: TempDir,
}

/// Where a server speaks TLS, and with what.
#[derive(Debug)]
struct Tls {
    port: u16,
    settings: [String; 8],
}

impl RedisServer {
    /// Starts one.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one of this kind.
    pub fn of(kind: RedisKind) -> Self {
        Self::start_as(kind, &[])
    }

    /// Starts one with these words behind the usual ones on its command line.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::start_as(RedisKind::Redis, settings)
    }

    /// The same of this kind.
    pub fn start_as(kind: RedisKind, settings: &[&str]) -> Self {
        Self::start_on(kind, None, settings)
    }

    /// Starts one that speaks TLS on a second port, with this certificate, and these words on its command line.
    pub fn start_with_tls(files: &Certificates, certificate: &str, settings: &[&str]) -> Self {
        let tls = Tls {
            port: free_port(),
            settings: files.of_redis(certificate),
        };
        Self::start_on(RedisKind::Redis, Some(tls), settings)
    }

    fn start_on(kind: RedisKind, tls: Option<Tls>, settings: &[&str]) -> Self {
        let user = User::for_servers();
        let dir = server_dir("redis", user);
        let mut server = Self {
            program: kind.program(user, dir.path()),
            process: None,
            port: free_port(),
            tls,
            settings: settings.iter().map(|word| (*word).to_owned()).collect(),
            user,
            dir,
        };
        for _ in 0..5 {
            if server.try_start_again() {
                return server;
            }
            server.port = free_port();
            if let Some(tls) = &mut server.tls {
                tls.port = free_port();
            }
        }
        panic!("Redis does not start; its log:\n{}", server.log());
    }

    /// Starts it again after a stop, on the same port.
    pub fn start_again(&mut self) {
        let began = Instant::now();
        while !self.try_start_again() {
            assert!(
                began.elapsed() < PATIENCE,
                "it does not start again; its log:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The same, with these words behind the others on its command line, then and later.
    pub fn start_again_with(&mut self, settings: &[&str]) {
        let more = settings.iter().map(|word| (*word).to_owned());
        self.settings.extend(more);
        self.start_again();
    }

    fn try_start_again(&mut self) -> bool {
        let mut command = command_as(self.user, &self.program);
        command
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.dir.path())
            .args(&self.settings);
        if let Some(tls) = &self.tls {
            command
                .args(["--tls-port", &tls.port.to_string()])
                .args(&tls.settings);
        }
        let mut process = ServerProcess::start(command, &self.log_file(), "KILL");
        let ready = process.wait_ready(|| self.try_connect().is_ok());
        self.process = ready.then_some(process);
        ready
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.process.take().expect("it runs").stop(Signal::KILL);
    }

    /// Whether it is started.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Stops it and starts it again, empty, on the same port.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its URL with TLS.
    pub fn tls_url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.tls_port())
    }

    /// Where it speaks TLS.
    pub fn tls_port(&self) -> u16 {
        self.tls.as_ref().expect("started with TLS").port
    }

    /// What it runs.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Where other servers speak to it.
    pub(crate) fn port_for_servers(&self) -> u16 {
        self.tls.as_ref().map_or(self.port, |tls| tls.port)
    }

    /// The port, for a [`Proxy`](crate::Proxy) before it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection of the test's own.
    pub fn connect(&self) -> Connection {
        self.try_connect()
            .unwrap_or_else(|error| panic!("cannot connect: {error}"))
    }

    fn try_connect(&self) -> redis::RedisResult<Connection> {
        let mut connection = Client::open(self.url())?.get_connection()?;
        // Another server that happened to take the port would not have our directory.
        let (_, dir): (String, String) = redis::cmd("CONFIG")
            .arg("GET")
            .arg("dir")
            .query(&mut connection)?;
        assert_eq!(
            fs::canonicalize(dir).ok(),
            fs::canonicalize(self.dir.path()).ok(),
            "not our server"
        );
        Ok(connection)
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}
