//! Runs several processes against PostgreSQL and Redis for as long as it is told, with random delays,
//! failing leaders, callers that give up, invalidations, every option of `Work`, killed processes and restarted servers,
//! and judges what they did.
//!
//! `cargo run --release -p tests --bin soak -- --minutes 5 [--seed 1]`, or `--seconds 20`
//!
//! Quiet rounds (slow networks, failing bodies, killed processes) must keep every promise: no duplicate but those that
//! the options let be, no value older than one that the process has seen, none from before an invalidation that had
//! returned, no wait beyond its limit, no lock left, and no late wake-up but those during which something stood still.
//! Stormy rounds (servers restarted, sessions terminated, connections cut) must answer every call, and leave everything as
//! it was.

mod keys;
mod witness;

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use tests::soaking::{Random, option, seconds};
use tests::{
    Event, GAVE_UP, NOTHING, Proxy, Run, Servers, Setup, Stop, Timeline, Verdict, Worker,
    WorkerStats, now_us, wait_until, worker_main,
};

use self::keys::{BUSY, Keys};
use self::witness::Witness;

const WORKERS: usize = 5;
const ROUND: Duration = Duration::from_secs(4);
const TTL: Duration = Duration::from_millis(600);
/// No call may take longer, whatever happens.
const LONGEST: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("worker") {
        worker_main();
        return ExitCode::SUCCESS;
    }
    let seconds = seconds(60.0);
    let seed = option("--seed").unwrap_or_else(now_us);
    println!("soaking for {seconds:.0} s with seed {seed}");
    let mut soak = Soak::start(seed);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    for round in 0.. {
        if round >= 2 && Instant::now() >= end {
            break;
        }
        soak.round(round);
    }
    soak.finish()
}

/// What became of the calls.
#[derive(Default)]
struct Fates {
    calls: usize,
    errors: usize,
    nothing: usize,
    gave_up: usize,
    busy: usize,
    invalidations: usize,
    stats: WorkerStats,
}

impl Fates {
    fn add(&mut self, timeline: &Timeline) {
        for answer in timeline.answers() {
            self.calls += 1;
            match answer.as_deref() {
                Ok(NOTHING) => self.nothing += 1,
                Ok(BUSY) => self.busy += 1,
                Ok(_) => {}
                Err(error) if error == GAVE_UP => self.gave_up += 1,
                Err(_) => self.errors += 1,
            }
        }
    }
}

impl fmt::Display for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls: {} errors, {} without a value, {} gave up, {} told to come back; {} invalidations; of processes \
             that lived to the end {:?}",
            self.calls,
            self.errors,
            self.nothing,
            self.gave_up,
            self.busy,
            self.invalidations,
            self.stats,
        )
    }
}

struct Soak {
    random: Random,
    servers: Servers,
    postgres: Proxy,
    redis: Proxy,
    workers: Vec<Worker>,
    witness: Witness,
    killed: BTreeMap<u32, u64>,
    events: Vec<Event>,
    keys: Keys,
    fates: Fates,
    quiet: Verdict,
    stormy: Verdict,
    locks_left: usize,
    unexplained: usize,
}

impl Soak {
    fn start(seed: u64) -> Self {
        let servers = Servers::start();
        let (postgres, redis) = (
            Proxy::to(servers.postgres.port()),
            Proxy::to(servers.redis.port()),
        );
        let mut soak = Self {
            random: Random::of(seed),
            witness: Witness::start(servers.postgres.url()),
            servers,
            postgres,
            redis,
            workers: Vec::new(),
            killed: BTreeMap::new(),
            events: Vec::new(),
            keys: Keys::default(),
            fates: Fates::default(),
            quiet: Verdict::default(),
            stormy: Verdict::default(),
            locks_left: 0,
            unexplained: 0,
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
            log: Some("warn,worksharing=debug".to_owned()),
            ..Setup::default()
        };
        let mut worker = Worker::start(program.to_str().expect("an ordinary path"), &setup);
        // Whoever is still connecting is not woken. (In a storm there may be no server to connect to.)
        drop(worker.check());
        worker
    }

    fn round(&mut self, round: usize) {
        let stormy = round % 2 == 1;
        let end = Instant::now() + ROUND;
        self.keys = Keys::of_round(round, &mut self.random);
        while Instant::now() < end {
            self.some_calls();
            if self.random.one_of(20) == 0 {
                if stormy { self.storm() } else { self.trouble() }
            }
            thread::sleep(Duration::from_millis(self.random.one_of(60)));
        }
        self.settle();
        let timeline: Timeline = std::mem::take(&mut self.events).into_iter().collect();
        let verdict = Verdict::of(&timeline, |key| self.keys.rules(key), &self.killed);
        println!(
            "{} round {round}: {verdict}",
            if stormy { "stormy" } else { "quiet" }
        );
        self.fates.add(&timeline);
        let complaints = verdict.complaints().filter(|_| !stormy);
        complaints.for_each(|one| println!("  {one}"));
        if stormy {
            self.stormy.merge(verdict);
        } else {
            let late = verdict.late.iter();
            self.unexplained += late
                .filter(|late| !self.witness.explains(late, &timeline))
                .count();
            self.quiet.merge(verdict);
        }
        self.witness.forget();
    }

    fn some_calls(&mut self) {
        let run = self.keys.run(&mut self.random);
        self.call(&run);
        if self.random.one_of(4) == 0 {
            // While it is being computed, by chance, and more ask for it.
            thread::sleep(Duration::from_millis(self.random.one_of(60)));
            self.invalidate(run.key.clone());
            self.call(&run);
        }
    }

    fn call(&mut self, run: &Run) {
        for worker in &mut self.workers {
            if self.random.one_of(2) == 0 {
                worker.run(run);
            }
        }
    }

    fn invalidate(&mut self, key: String) {
        let index = self.random.one_of(self.workers.len() as u64) as usize;
        let from = now_us();
        // In a storm it may not be done.
        if self.workers[index].invalidate(&key).is_none() {
            self.keys.invalidated(key, from, now_us());
            self.fates.invalidations += 1;
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
        self.witness.logged(dead.pid(), dead.take_logged());
        let successor = self.worker();
        self.workers.push(successor);
    }

    fn freeze_one(&mut self, time: Duration) {
        let index = self.random.one_of(self.workers.len() as u64) as usize;
        let from = now_us();
        self.workers[index].sigstop();
        thread::sleep(time);
        self.workers[index].sigcont();
        let pid = self.workers[index].pid();
        self.witness.froze(pid, from, now_us());
    }

    /// Every call is answered, every runtime whole, and no lock left.
    fn settle(&mut self) {
        self.postgres.delay(Duration::ZERO);
        self.redis.delay(Duration::ZERO);
        let answered = |worker: &Worker| {
            let timeline = Timeline::of([worker]);
            timeline.called() == timeline.served()
                && timeline.begins().len() == timeline.ends().len()
        };
        let began = Instant::now();
        for worker in &mut self.workers {
            // The check is answered after all earlier commands were taken up.
            wait_until(LONGEST, "the runtime is whole", || worker.check().is_none());
            while !answered(worker) && began.elapsed() < LONGEST {
                thread::sleep(Duration::from_millis(10));
            }
            self.events.extend(worker.take_events());
            self.witness.logged(worker.pid(), worker.take_logged());
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

    fn finish(mut self) -> ExitCode {
        self.fates.stats = self.workers.iter_mut().map(Worker::stats).sum();
        println!(
            "quiet:  {}\nstormy: {}\n{}",
            self.quiet, self.stormy, self.fates
        );
        println!(
            "{} processes killed, {} locks left, {} late wake-ups in quiet rounds that nothing explains",
            self.killed.len(),
            self.locks_left,
            self.unexplained
        );
        let late = self.unexplained > 0;
        let unanswered = self.quiet.unanswered + self.stormy.unanswered;
        let longest = self.quiet.longest_wait.max(self.stormy.longest_wait);
        let wrong = self.quiet.complaints().next().is_some();
        if late || unanswered > 0 || longest > LONGEST || wrong || self.locks_left > 0 {
            println!("a promise was broken");
            return ExitCode::FAILURE;
        }
        println!("every promise was kept");
        ExitCode::SUCCESS
    }
}
