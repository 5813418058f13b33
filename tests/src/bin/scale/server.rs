//! The server, and what it costs: what the kernel says of its processes.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use tests::PostgresServer;
use worksharing::store::Memory;

/// A private server, and a session to ask it by.
pub(crate) struct Server {
    server: PostgresServer,
    client: Client,
    values: Arc<Memory>,
}

/// What happened in a while.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// How often its processes were woken: by a heartbeat, a poll, a notification.
    pub(crate) wake_ups: u64,
    /// Processor time of all of the server's processes.
    pub(crate) cpu: Duration,
    /// Of the session that watches for dead holders.
    pub(crate) watch: Option<Duration>,
    pub(crate) lasted: Duration,
}

impl Server {
    /// One with room for so many sessions.
    pub(crate) fn start(sessions: usize) -> Self {
        // Some of them may be replaced before the server has noticed that they are gone.
        let most = (sessions + sessions / 4 + 30).to_string();
        let server = PostgresServer::start_with(&[
            ("max_connections", &most),
            ("shared_buffers", "128MB"),
            // Of an idle server nothing runs but what is measured.
            ("autovacuum", "off"),
        ]);
        let client = server.connect();
        Self {
            server,
            client,
            values: Arc::default(),
        }
    }

    /// Values, which are to cost the server nothing.
    pub(crate) fn values(&self) -> Arc<Memory> {
        Arc::clone(&self.values)
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// How many sessions there are beside our own.
    pub(crate) fn sessions(&self) -> usize {
        self.server.session_pids().len()
    }

    /// How much memory a session takes: its own, and its part of what it shares with others. A sample of a hundred.
    pub(crate) fn mib_per_session(&self) -> f64 {
        let pids = self.server.session_pids();
        let step = pids.len().div_ceil(100).max(1);
        let sample = pids.iter().step_by(step).filter_map(|pid| pss_kib(*pid));
        let sample: Vec<f64> = sample.collect();
        sample.iter().sum::<f64>() / sample.len().max(1) as f64 / 1024.0
    }

    /// Entries of the lock table that are advisory locks.
    pub(crate) fn locks(&self) -> usize {
        self.server.advisory_locks()
    }

    /// How many keys are held.
    pub(crate) fn held_keys(&self) -> usize {
        self.server.held_keys()
    }

    /// How many sessions show interest in a key.
    pub(crate) fn waiting(&self) -> usize {
        self.server.shown_interest()
    }

    /// What the server does in so long.
    pub(crate) fn during(&mut self, time: Duration) -> Cost {
        let watch = self.watches();
        self.while_(|_| thread::sleep(time), watch)
    }

    /// What the server does meanwhile.
    pub(crate) fn meanwhile(&mut self, run: impl FnOnce(&mut Client)) -> Cost {
        self.while_(run, None)
    }

    fn while_(&mut self, run: impl FnOnce(&mut Client), watch: Option<u32>) -> Cost {
        let pids = self.processes();
        let before: Vec<_> = pids.iter().map(|pid| spent(*pid)).collect();
        let (watched, begun) = (watch.map(spent), Instant::now());
        run(&mut self.client);
        let lasted = begun.elapsed();
        let since = |pid: u32, before: &Spent| {
            let spent = spent(pid);
            let cpu = spent.cpu.saturating_sub(before.cpu);
            (cpu, spent.wake_ups.saturating_sub(before.wake_ups))
        };
        let mut cost = Cost {
            watch: watch
                .zip(watched)
                .map(|(pid, before)| since(pid, &before).0),
            lasted,
            ..Cost::default()
        };
        for (pid, before) in pids.iter().zip(&before) {
            let (cpu, wake_ups) = since(*pid, before);
            cost.cpu += cpu;
            cost.wake_ups += wake_ups;
        }
        cost
    }

    /// The process of the session that watches, if one does.
    fn watches(&mut self) -> Option<u32> {
        let sql = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
                   AND classid = x'b94f1cac'::bigint::oid AND objid = x'64a65510'::bigint::oid";
        let row = self.client.query_opt(sql, &[]).expect(sql)?;
        Some(row.get::<_, i32>(0).cast_unsigned())
    }

    /// The processes of the server: the first one's children, and itself.
    fn processes(&self) -> BTreeSet<u32> {
        let pid = self.server.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        let children = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok());
        children.chain([pid]).collect()
    }
}

/// What a process of one thread has used so far; nothing, if it is gone.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    cpu: Duration,
    wake_ups: u64,
}

fn spent(pid: u32) -> Spent {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let schedule = read("schedstat");
    let nanos = schedule.split_whitespace().next();
    let nanos = nanos.and_then(|nanos| nanos.parse().ok());
    let status = read("status");
    let mut lines = status.lines();
    let switches = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    let switches = switches.and_then(|switches| switches.trim().parse().ok());
    Spent {
        cpu: Duration::from_nanos(nanos.unwrap_or_default()),
        wake_ups: switches.unwrap_or_default(),
    }
}

fn pss_kib(pid: i32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}
