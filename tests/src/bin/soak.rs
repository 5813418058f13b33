//! Runs several processes against PostgreSQL and Redis for as long as it is told, with random delays,
//! failing leaders, killed processes and restarted servers, and judges what they did.
//!
//! `cargo run --release -p tests --bin soak -- --minutes 5 [--seed 1]`
//!
//! Quiet rounds (slow networks, failing bodies, killed processes) must keep every promise: no duplicate, no
//! lost wake-up, no lock left. Stormy rounds (servers restarted, sessions terminated, connections cut) must
//! answer every call, and leave everything as it was.

use std::collections::BTreeMap;
use std::env;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use tests::{
    Callers, End, Event, Proxy, Run, Servers, Setup, Stop, Timeline, Verdict, Worker, now_us,
    wait_until, worker_main,
};

const WORKERS: usize = 5;
const KEYS: u64 = 4;
const ROUND: Duration = Duration::from_secs(4);
const TTL: Duration = Duration::from_millis(600);
/// No call may take longer, whatever happens.
const LONGEST: Duration = Duration::from_secs(30);
/// A machine that stalls can look like a lost wake-up: so many of a hundred are forgiven, and one in a short run.
/// Without any notification it would be many times as many.
const FORGIVEN_OF_100: usize = 2;

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("worker") {
        worker_main();
        return ExitCode::SUCCESS;
    }
    let minutes: f64 = option("--minutes").unwrap_or(1.0);
    let seed = option("--seed").unwrap_or_else(now_us);
    println!("soaking for {minutes} minutes with seed {seed}");
    let mut soak = Soak::start(seed);
    let end = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    for round in 0.. {
        if round >= 2 && Instant::now() >= end {
            break;
        }
        soak.round(round);
    }
    soak.finish()
}

fn option<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = env::args().skip_while(|argument| argument != name).nth(1)?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} wants a number, not {value:?}")),
    )
}

struct Soak {
    random: Random,
    servers: Servers,
    postgres: Proxy,
    redis: Proxy,
    workers: Vec<Worker>,
    killed: BTreeMap<u32, u64>,
    events: Vec<Event>,
    quiet: Verdict,
    stormy: Verdict,
    locks_left: usize,
}

impl Soak {
    fn start(seed: u64) -> Self {
        let servers = Servers::start();
        let (postgres, redis) = (
            Proxy::to(servers.postgres.port()),
            Proxy::to(servers.redis.port()),
        );
        let mut soak = Self {
            random: Random(seed),
            servers,
            postgres,
            redis,
            workers: Vec::new(),
            killed: BTreeMap::new(),
            events: Vec::new(),
            quiet: Verdict::default(),
            stormy: Verdict::default(),
            locks_left: 0,
        };
        soak.workers = (0..WORKERS).map(|_| soak.worker()).collect();
        soak
    }

    fn worker(&self) -> Worker {
        let program = env::current_exe().expect("this program");
        let (postgres, redis) = (self.postgres.postgres_url(), self.redis.redis_url());
        let setup = Setup {
            postgres: Some(postgres),
            redis: Some(redis),
            ..Setup::default()
        };
        Worker::start(program.to_str().expect("an ordinary path"), &setup)
    }

    fn round(&mut self, round: usize) {
        let stormy = round % 2 == 1;
        let end = Instant::now() + ROUND;
        while Instant::now() < end {
            self.some_calls(round);
            if self.random.one_of(20) == 0 {
                if stormy { self.storm() } else { self.trouble() }
            }
            thread::sleep(Duration::from_millis(self.random.one_of(60)));
        }
        self.settle();
        let timeline: Timeline = std::mem::take(&mut self.events).into_iter().collect();
        let verdict = Verdict::of(&timeline, TTL, &self.killed);
        println!(
            "{} round {round}: {verdict}",
            if stormy { "stormy" } else { "quiet" }
        );
        verdict
            .duplicates
            .iter()
            .filter(|_| !stormy)
            .for_each(|one| println!("  duplicate of {one}"));
        if stormy {
            self.stormy.merge(verdict)
        } else {
            self.quiet.merge(verdict)
        }
    }

    fn some_calls(&mut self, round: usize) {
        let key = format!("round {round}, key {}", self.random.one_of(KEYS));
        let body = Duration::from_millis(self.random.one_of(120));
        let callers = Callers::Mixed(1 + self.random.one_of(4) as usize);
        let run = Run::of(&key, body)
            .callers(callers)
            .ttl(TTL)
            .end(End::Maybe);
        for worker in &mut self.workers {
            if self.random.one_of(2) == 0 {
                worker.run(&run);
            }
        }
    }

    /// What no promise may suffer from.
    fn trouble(&mut self) {
        match self.random.one_of(4) {
            0 => self.kill_one(),
            1 => self
                .postgres
                .delay(Duration::from_millis(self.random.one_of(5))),
            2 => self
                .redis
                .delay(Duration::from_millis(self.random.one_of(5))),
            _ => self.freeze_one(Duration::from_millis(30)),
        }
    }

    /// What may cost executions.
    fn storm(&mut self) {
        match self.random.one_of(8) {
            0 => self.servers.redis.restart(),
            1 => self.servers.postgres.restart(),
            2 => {
                self.servers.postgres.stop(Stop::Immediate);
                thread::sleep(Duration::from_millis(self.random.one_of(500)));
                self.servers.postgres.start_again();
            }
            3 => drop(self.servers.postgres.terminate_lock_sessions()),
            4 => self.postgres.cut(),
            5 => self.redis.cut(),
            6 => {
                let proxy = if self.random.one_of(2) == 0 {
                    &self.postgres
                } else {
                    &self.redis
                };
                proxy.freeze();
                thread::sleep(Duration::from_millis(300));
                proxy.thaw();
            }
            _ => self.kill_one(),
        }
    }

    fn kill_one(&mut self) {
        let index = self.random.one_of(self.workers.len() as u64) as usize;
        let mut dead = self.workers.swap_remove(index);
        dead.kill9();
        self.killed.insert(dead.pid(), now_us());
        // What it still had to say is in the pipe.
        thread::sleep(Duration::from_millis(50));
        self.events.extend(dead.take_events());
        let successor = self.worker();
        self.workers.push(successor);
    }

    fn freeze_one(&mut self, time: Duration) {
        let index = self.random.one_of(self.workers.len() as u64) as usize;
        self.workers[index].sigstop();
        thread::sleep(time);
        self.workers[index].sigcont();
    }

    /// Every call is answered, every runtime whole, and no lock left.
    fn settle(&mut self) {
        self.postgres.delay(Duration::ZERO);
        self.redis.delay(Duration::ZERO);
        let answered = |worker: &Worker| {
            let timeline = Timeline::of([worker]);
            timeline.called() == timeline.served()
        };
        let began = Instant::now();
        for worker in &mut self.workers {
            // The check is answered after all earlier commands were taken up.
            wait_until(LONGEST, "the runtime is whole", || worker.check().is_none());
            while !answered(worker) && began.elapsed() < LONGEST {
                thread::sleep(Duration::from_millis(10));
            }
            self.events.extend(worker.take_events());
        }
        let began = Instant::now();
        while self.servers.postgres.advisory_locks() > 0 && began.elapsed() < Duration::from_secs(5)
        {
            thread::sleep(Duration::from_millis(20));
        }
        let left = self.servers.postgres.describe_advisory_locks();
        left.iter().for_each(|lock| println!("  left: {lock}"));
        self.locks_left += left.len();
    }

    fn finish(self) -> ExitCode {
        println!("quiet:  {}\nstormy: {}", self.quiet, self.stormy);
        println!(
            "{} processes killed, {} locks left",
            self.killed.len(),
            self.locks_left
        );
        let lost = self.quiet.lost_wake_ups * 100 > FORGIVEN_OF_100 * self.quiet.handovers.max(50);
        let unanswered = self.quiet.unanswered + self.stormy.unanswered;
        let longest = self.quiet.longest_wait.max(self.stormy.longest_wait);
        let duplicates = !self.quiet.duplicates.is_empty();
        if lost || unanswered > 0 || longest > LONGEST || duplicates || self.locks_left > 0 {
            println!("a promise was broken");
            return ExitCode::FAILURE;
        }
        println!("every promise was kept");
        ExitCode::SUCCESS
    }
}

/// Repeatable for a seed.
struct Random(u64);

impl Random {
    fn one_of(&mut self, count: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count
    }
}
