//! Lets processes live through long faults, one after the other and again, and fails when anything that they
//! hold grows: threads, descriptors, memory, sessions, locks, leases; or when a call is not answered.
//!
//! `cargo run --release -p tests --bin endure -- --minutes 10 [--seed 1] [--fault 60]`, or `--seconds 60`
//!
//! The length of a fault, in seconds, follows from that of the whole, unless it is given.

mod faults;
mod ledger;

use std::collections::BTreeMap;
use std::env;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use tests::soaking::{Random, option, seconds};
use tests::{
    Callers, End, Mesh, Proxy, Rules, Run, Servers, Setup, Timeline, Verdict, now_us, scenarios,
    wait_until, worker_main,
};

use self::faults::{FAULTS, Fault};
use self::ledger::{Calm, Ledger};

const TTL: Duration = Duration::from_millis(600);
/// No call may take longer, whatever happens.
const LONGEST: Duration = Duration::from_secs(20);
/// So long the servers may take to end what was cut off from them.
const LEFT_BEHIND: Duration = Duration::from_secs(25);
const KEYS: u64 = 6;
/// For all troubles together.
const LINES_PER_MINUTE: f64 = 20.0;

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("worker") {
        worker_main();
        return ExitCode::SUCCESS;
    }
    let seconds = seconds(60.0);
    let seed = option("--seed").unwrap_or_else(now_us);
    let fault = option("--fault").unwrap_or_else(|| (seconds / 40.0).max(1.5));
    println!("enduring for {seconds:.0} s with seed {seed}, faults of {fault:.0} s");
    let mut endurance = Endurance::start(seed, Duration::from_secs_f64(fault));
    endurance.warm_up();
    let began = Instant::now();
    for cycle in 0.. {
        // The first one is what the others are compared with.
        let next = began.elapsed() * (cycle + 1) / cycle.max(1);
        if cycle >= 2 && next > Duration::from_secs_f64(seconds) {
            break;
        }
        endurance.cycle(cycle);
    }
    endurance.finish(began.elapsed())
}

struct Endurance {
    random: Random,
    fault: Duration,
    servers: Servers,
    postgres: Proxy,
    redis: Proxy,
    /// Those with session locks and Redis, those with leases and values in PostgreSQL.
    meshes: [Mesh; 2],
    ledger: Ledger,
    verdict: Verdict,
    broken: Vec<String>,
}

impl Endurance {
    fn start(seed: u64, fault: Duration) -> Self {
        let servers = Servers::start();
        let postgres = Proxy::to(servers.postgres.port());
        let redis = Proxy::to(servers.redis.port());
        let program = env::current_exe().expect("this program");
        let program = program.to_str().expect("an ordinary path");
        let sessions = Setup {
            postgres: Some(postgres.postgres_url()),
            redis: Some(redis.redis_url()),
            ..Setup::default()
        };
        let leases = Setup {
            lock: Some("lease".to_owned()),
            ..Setup::on_postgres(postgres.postgres_url())
        };
        let meshes = [sessions, leases].map(|setup| Mesh::start(2, program, &setup));
        let workers = meshes.iter().flat_map(|mesh| &mesh.workers);
        faults::notify_steadily(servers.postgres.url());
        Self {
            random: Random::of(seed),
            fault,
            ledger: Ledger::of(workers.map(tests::Worker::pid)),
            servers,
            postgres,
            redis,
            meshes,
            verdict: Verdict::default(),
            broken: Vec::new(),
        }
    }

    /// What a process has once is there.
    fn warm_up(&mut self) {
        for _ in 0..20 {
            self.some_calls("to begin with");
        }
        for mesh in &mut self.meshes {
            scenarios::healed(mesh, "in the beginning");
        }
        self.ledger.calm_down(Calm::Before);
        println!("in the beginning: {}", self.ledger.calm());
    }

    fn cycle(&mut self, cycle: u32) {
        for fault in FAULTS {
            self.ledger.begin();
            let began = now_us();
            let lasted = self.inflict(*fault, cycle);
            let settled = Instant::now();
            self.settle(*fault, cycle);
            let settled = settled.elapsed().as_secs_f64();
            self.judge(*fault, cycle, began);
            for mesh in &self.meshes {
                for worker in &mesh.workers {
                    drop(worker.take_events());
                }
            }
            let grown = self.ledger.peaks_beyond(fault.allowance());
            println!(
                "cycle {cycle}, {fault:?} for {:.1} s, settled after {settled:.1} s: {}",
                lasted.as_secs_f64(),
                self.ledger
            );
            self.broken.extend(
                grown
                    .into_iter()
                    .map(|grown| format!("cycle {cycle}, {fault:?}: {grown}")),
            );
        }
        let calm = if cycle == 0 { Calm::First } else { Calm::Later };
        self.ledger.calm_down(calm);
        println!("after cycle {cycle}: {}", self.ledger.calm());
        let grown = self.ledger.grown().into_iter();
        let grown = grown.map(|grown| format!("after cycle {cycle}: {grown}"));
        self.broken.extend(grown);
    }

    /// What the calls since then have got.
    fn judge(&mut self, fault: Fault, cycle: u32, began: u64) {
        for mesh in &self.meshes {
            let timeline = mesh.timeline().since(began);
            let verdict = Verdict::of(&timeline, |_| Rules::fresh_for(TTL), &BTreeMap::new());
            if verdict.unanswered > 0 || verdict.longest_wait > LONGEST {
                self.broken
                    .push(format!("cycle {cycle}, {fault:?}: {verdict}"));
            }
            if fault.spares_the_servers() {
                let duplicates = verdict.duplicates.iter();
                let duplicates = duplicates.map(|one| format!("duplicate of {one}"));
                self.broken.extend(duplicates);
            }
            self.verdict.merge(verdict);
        }
    }

    /// Some calls in every worker, on keys that they share.
    fn some_calls(&mut self, of: &str) {
        let key = format!("{of}, key {}", self.random.one_of(KEYS));
        let run = Run::of(&key, Duration::from_millis(self.random.one_of(60)))
            .callers(Callers::Tasks(1 + self.random.one_of(3) as usize))
            .ttl(TTL)
            .end(End::Maybe);
        for mesh in &mut self.meshes {
            mesh.run(&run);
        }
    }

    /// Every call is answered, every runtime whole, a new key computed once, and no lock left.
    fn settle(&mut self, fault: Fault, cycle: u32) {
        let key = format!("cycle {cycle}, after {fault:?}");
        let began = now_us();
        for mesh in &mut self.meshes {
            for worker in &mut mesh.workers {
                wait_until(LONGEST, "every call is answered", || {
                    let timeline = Timeline::of([&*worker]);
                    timeline.called() == timeline.served()
                });
                wait_until(LONGEST, "the runtime is whole", || worker.check().is_none());
            }
            mesh.run(&Run::of(&key, Duration::from_millis(200)));
        }
        for mesh in &self.meshes {
            let timeline = || mesh.timeline().key(&key).since(began);
            wait_until(LONGEST, "everybody is served", || {
                timeline().served() == mesh.workers.len()
            });
            if timeline().executions() != 1 {
                let events = timeline().describe(0..=u64::MAX);
                self.broken
                    .push(format!("{key}: computed more than once: {events:?}"));
            }
        }
        let began = Instant::now();
        while self.servers.postgres.advisory_locks() > 0 {
            if began.elapsed() > LEFT_BEHIND {
                let left = self.servers.postgres.describe_advisory_locks();
                self.broken.push(format!("{key}: locks are left: {left:?}"));
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What must be gone in the end, once nobody has asked for a while.
    fn finish(mut self, lasted: Duration) -> ExitCode {
        self.nothing_is_left();
        self.little_was_said(lasted);
        println!("{}", self.verdict);
        if self.broken.is_empty() {
            println!("nothing grew, and every call was answered");
            return ExitCode::SUCCESS;
        }
        println!("{} promises were broken:", self.broken.len());
        self.broken.iter().for_each(|broken| println!("  {broken}"));
        ExitCode::FAILURE
    }

    fn nothing_is_left(&mut self) {
        let allowed = 2 * self.meshes[0].workers.len() + self.meshes[1].workers.len();
        let server = &self.servers.postgres;
        let began = Instant::now();
        loop {
            let leases = server.live_leases("worksharing_leases").len();
            let (sessions, locks) = (server.sessions(), server.advisory_locks());
            let is_over = sessions <= allowed && leases + locks == 0;
            if is_over || began.elapsed() > LEFT_BEHIND {
                let seconds = began.elapsed().as_secs_f64();
                let left = format!(
                    "{sessions} sessions ({allowed} allowed), {leases} leases and {locks} locks \
                     {seconds:.1} s after the end"
                );
                println!("{left}");
                if !is_over {
                    self.broken.push(left);
                }
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Trouble is said now and then, not for every call.
    fn little_was_said(&mut self, lasted: Duration) {
        let minutes = lasted.as_secs_f64() / 60.0;
        for worker in self.meshes.iter().flat_map(|mesh| &mesh.workers) {
            let lines = worker.logged().len();
            println!("process {} logged {lines} lines", worker.pid());
            if lines as f64 > LINES_PER_MINUTE * (minutes + 1.0) {
                let said = format!("process {} logged {lines} lines", worker.pid());
                self.broken.push(said);
            }
        }
    }
}
