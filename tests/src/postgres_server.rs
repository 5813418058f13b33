use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use postgres::{Client, Config, NoTls};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::port::free_port;
use crate::postgres_programs::{program, run, template};
use crate::server::{PATIENCE, ServerProcess, server_dir};
use crate::user::{User, command_as};
use crate::wait_until;

/// A PostgreSQL server of this test's own.
#[derive(Debug)]
pub struct PostgresServer {
    process: Option<ServerProcess>,
    port: u16,
    settings: BTreeMap<String, String>,
    user: Option<User>,
    // Last, so that it goes after the process.
    dir: TempDir,
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ends the sessions, then itself.
    Fast,
    /// Ends as in a crash.
    Immediate,
}

impl PostgresServer {
    /// Starts one.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with these settings on top of the usual ones.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let user = User::for_servers();
        let dir = server_dir("pg", user);
        run(command_as(user, "cp")
            .arg("-R")
            .arg(template(user))
            .arg(dir.path().join("data")));
        Self::start_in(dir, user, settings)
    }

    /// Starts a standby that streams from this server.
    pub fn standby(&self) -> Self {
        let dir = server_dir("standby", self.user);
        run(command_as(self.user, program("pg_basebackup"))
            .args([
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "--no-sync",
            ])
            .args(["-p", &self.port.to_string(), "-D"])
            .arg(dir.path().join("data")));
        Self::start_in(dir, self.user, &[])
    }

    fn start_in(dir: TempDir, user: Option<User>, settings: &[(&str, &str)]) -> Self {
        let settings = usual_settings(dir.path())
            .chain(
                settings
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
            )
            .collect();
        let mut server = Self {
            process: None,
            port: free_port(),
            settings,
            user,
            dir,
        };
        for _ in 0..5 {
            if server.try_start_again() {
                return server;
            }
            server.port = free_port();
        }
        panic!("PostgreSQL does not start; its log:\n{}", server.log());
    }

    /// Starts it again after a stop, on the same port. Tries again for a while: a session that ends slowly
    /// after an immediate stop still holds the shared memory.
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

    fn try_start_again(&mut self) -> bool {
        let mut command = command_as(self.user, program("postgres"));
        command
            .arg("-D")
            .arg(self.dir.path().join("data"))
            .args(["-p", &self.port.to_string()]);
        for (name, value) in &self.settings {
            command.args(["-c", &format!("{name}={value}")]);
        }
        let config = self.config();
        let mut process = ServerProcess::start(command, &self.log_file(), "QUIT");
        let ready = process.wait_ready(|| config.connect(NoTls).is_ok());
        self.process = ready.then_some(process);
        ready
    }

    /// Stops it.
    pub fn stop(&mut self, how: Stop) {
        let signal = if how == Stop::Fast {
            Signal::INT
        } else {
            Signal::QUIT
        };
        self.process.take().expect("it runs").stop(signal);
    }

    /// Kills the process of a session, whereupon it ends all of them, recovers as after a crash, and lets clients in again.
    pub fn crash(&self) {
        let starts = || self.log().matches("ready to accept connections").count();
        let before = starts();
        let mut victim = self.connect();
        let row = victim.query_one("SELECT pg_backend_pid()", &[]);
        let pid = Pid::from_raw(row.expect("it answers").get(0)).expect("a process");
        kill_process(pid, Signal::KILL).expect("cannot kill");
        wait_until(PATIENCE, "it has recovered", || starts() > before);
    }

    /// Stops it, fast, and starts it again on the same port.
    pub fn restart(&mut self) {
        self.stop(Stop::Fast);
        self.start_again();
    }

    /// The URL for the superuser, who needs no password.
    pub fn url(&self) -> String {
        self.url_for("postgres")
    }

    /// The URL for another role.
    pub fn url_for(&self, role: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/postgres", self.port)
    }

    /// The process that has started all others.
    pub fn pid(&self) -> u32 {
        let pid = self.process.as_ref().expect("it runs").pid();
        pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// The port, for a [`Proxy`](crate::Proxy) or a [`PgBouncer`](crate::PgBouncer) before it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A connection of the test's own.
    pub fn connect(&self) -> Client {
        self.config()
            .connect(NoTls)
            .unwrap_or_else(|error| panic!("cannot connect: {error}"))
    }

    fn config(&self) -> Config {
        let mut config: Config = self.url().parse().expect("our own URL");
        config
            .application_name("the test")
            .connect_timeout(Duration::from_secs(5));
        config
    }

    /// Has psql run this.
    pub fn psql(&self, sql: &str) {
        let mut command = command_as(self.user, program("psql"));
        run(command.args(["-v", "ON_ERROR_STOP=1", "-c", sql, &self.url()]));
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// How many sessions there are beside the test's own.
    pub fn sessions(&self) -> usize {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE backend_type = 'client backend' AND application_name <> 'the test'";
        count(&mut self.connect(), sql)
    }

    /// The server's processes for the sessions beside the test's own.
    pub fn session_pids(&self) -> BTreeSet<i32> {
        let sql = "SELECT pid FROM pg_stat_activity
                   WHERE backend_type = 'client backend' AND application_name <> 'the test'";
        let rows = self.connect().query(sql, &[]).expect(sql);
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The names (`application_name`) of the sessions beside the test's own, sorted.
    pub fn session_names(&self) -> Vec<String> {
        let sql = "SELECT application_name FROM pg_stat_activity
                   WHERE backend_type = 'client backend' AND application_name <> 'the test' ORDER BY 1";
        let rows = self.connect().query(sql, &[]).expect(sql);
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Ends these sessions.
    pub fn terminate(&self, pids: &BTreeSet<i32>) {
        let pids: Vec<i32> = pids.iter().copied().collect();
        let sql = "SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid";
        self.connect().query(sql, &[&pids]).expect(sql);
    }

    /// How many keys are locked. (Each waiting process's interest in a key is an advisory lock, too.)
    pub fn held_keys(&self) -> usize {
        let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
                   AND classid::bigint >> 28 = 12";
        count(&mut self.connect(), sql)
    }

    /// How many sessions show interest in keys, for each key that they wait for.
    pub fn shown_interest(&self) -> usize {
        let sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted
                   AND classid::bigint >> 28 = 13";
        count(&mut self.connect(), sql)
    }

    /// The leases in the table of this name that have not run out: until when, by key.
    pub fn live_leases(&self, table: &str) -> BTreeMap<i64, SystemTime> {
        let sql =
            format!("SELECT k, lease_until FROM {table} WHERE lease_until > clock_timestamp()");
        let rows = self.connect().query(&sql, &[]).expect(&sql);
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// How many advisory locks are held or waited for.
    pub fn advisory_locks(&self) -> usize {
        count(
            &mut self.connect(),
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
        )
    }

    /// Whose and which the advisory locks are, for whoever has to find out why they are there.
    pub fn describe_advisory_locks(&self) -> Vec<String> {
        let sql = "SELECT format('%s of key %s%s by %s (%s, %s since %s): %s', mode, to_hex(classid::bigint),
                                 lpad(to_hex(objid::bigint), 8, '0'), pid, application_name, state,
                                 now() - state_change, query)
                   FROM pg_locks LEFT JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory'";
        let rows = self.connect().query(sql, &[]).expect(sql);
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Ends the sessions that hold an advisory lock. Returns how many there were.
    pub fn terminate_lock_sessions(&self) -> usize {
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM
                   (SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory') AS holders";
        count(&mut self.connect(), sql)
    }
}

fn count(client: &mut Client, sql: &str) -> usize {
    let count: i64 = client.query_one(sql, &[]).expect(sql).get(0);
    usize::try_from(count).expect("a count")
}

fn usual_settings(dir: &Path) -> impl Iterator<Item = (String, String)> {
    [
        ("listen_addresses", "127.0.0.1"),
        (
            "unix_socket_directories",
            dir.to_str().expect("an ordinary path"),
        ),
        ("max_connections", "300"),
        ("shared_buffers", "16MB"),
        ("fsync", "off"),
        ("full_page_writes", "off"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into_iter()
}
