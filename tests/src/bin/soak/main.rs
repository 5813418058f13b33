//! Runs several processes against PostgreSQL and Redis for as long as it is told, with random delays,
//! failing leaders, callers that give up, invalidations, every option of `Work`, killed processes and restarted servers,
//! and judges what they did.
//!
//! `cargo run --release -p tests --bin soak -- --minutes 5 [--seed 1] [--only changing]`, or `--seconds 20`
//!
//! Quiet rounds (slow networks, failing bodies, killed processes) must keep every promise: no duplicate but those that
//! the options let be, no value older than one that the process has seen, none from before an invalidation that had
//! returned, no wait beyond its limit, no lock left, and no late wake-up but those during which something stood still.
//! Stormy rounds (servers restarted, sessions terminated, connections cut) must answer every call, and leave everything as
//! it was. Changing rounds (bodies that outlast the entries that supersede them, leaders that are overtaken, entries that
//! the store loses when it may) must let no call have what is from before an invalidation, or a refresh.

mod fates;
mod keys;
mod kind;
mod troubles;
mod witness;
mod writer;

use std::collections::BTreeMap;
use std::env;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use tests::soaking::{Random, option, seconds};
use tests::{
    Event, OldEntries, Proxy, Run, Servers, Setup, Timeline, Values, Verdict, Worker, WorkerStats,
    now_us, wait_until, worker_main,
};

use self::fates::Fates;
use self::keys::Keys;
use self::kind::Kind;
use self::witness::Witness;
use self::writer::Writer;

/// No call may take longer, whatever happens.
const LONGEST: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("worker") {
        worker_main();
        return ExitCode::SUCCESS;
    }
    let seconds = seconds(60.0);
    let seed = option("--seed").unwrap_or_else(now_us);
    let only: Option<Kind> = option("--only");
    println!("soaking for {seconds:.0} s with seed {seed}");
    let mut soak = Soak::start(seed);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    for round in 0.. {
        if round >= 2 && Instant::now() >= end {
            break;
        }
        soak.round(round, only.unwrap_or_else(|| Kind::of_round(round)));
    }
    soak.finish()
}

struct Soak {
    random: Random,
    servers: Servers,
    postgres: Proxy,
    redis: Proxy,
    setup: Setup,
    workers: Vec<Worker>,
    witness: Witness,
    killed: BTreeMap<u32, u64>,
    events: Vec<Event>,
    keys: Keys,
    values: Option<Values>,
    writer: Option<Writer>,
    old_entries: OldEntries,
    fates: Fates,
    verdicts: BTreeMap<Kind, Verdict>,
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
        Self {
            random: Random::of(seed),
            witness: Witness::start(servers.postgres.url()),
            servers,
            postgres,
            redis,
            setup: Setup::default(),
            workers: Vec::new(),
            killed: BTreeMap::new(),
            events: Vec::new(),
            keys: Keys::default(),
            values: None,
            writer: None,
            old_entries: OldEntries::default(),
            fates: Fates::default(),
            verdicts: BTreeMap::new(),
            locks_left: 0,
            unexplained: 0,
        }
    }

    /// The processes of a round: those of the one before it, where they will do.
    fn staff(&mut self, round: usize, kind: Kind) {
        let in_redis = !kind.is_in_postgres(round);
        let setup = Setup {
            postgres: Some(self.postgres.postgres_url()),
            redis: in_redis.then(|| self.redis.redis_url()),
            max_local_age: Some(keys::UNHEARD),
            log: Some("warn,worksharing=debug".to_owned()),
            tombstone_ttl: self.keys.tombstone_ttl(),
            transactional_invalidation: kind == Kind::Changing,
            ..Setup::default()
        };
        if self.setup != setup {
            self.fates.stats = self.fates.stats + self.stats();
            (self.setup, self.workers) = (setup, Vec::new());
        }
        self.workers.truncate(kind.workers());
        while self.workers.len() < kind.workers() {
            let worker = self.worker();
            self.workers.push(worker);
        }
        self.values = Some(Values::of(&self.servers, &self.setup));
        let writer = || Writer::new(self.servers.postgres.connect());
        self.writer = (kind == Kind::Changing).then(writer);
    }

    fn worker(&self) -> Worker {
        let program = env::current_exe().expect("this program");
        let mut worker = Worker::start(program.to_str().expect("an ordinary path"), &self.setup);
        // Whoever is still connecting is not woken. (In a storm there may be no server to connect to.)
        drop(worker.check());
        worker
    }

    fn stats(&mut self) -> WorkerStats {
        self.workers.iter_mut().map(Worker::stats).sum()
    }

    fn round(&mut self, round: usize, kind: Kind) {
        self.keys = Keys::of_round(round, kind, &mut self.random);
        self.staff(round, kind);
        self.keys.begin();
        let end = Instant::now() + kind.time();
        for run in self.keys.long_runs(&mut self.random) {
            let index = self.any_worker();
            self.workers[index].run(&run);
        }
        while Instant::now() < end {
            self.some_calls();
            self.trouble(kind);
            thread::sleep(Duration::from_millis(self.random.one_of(60)));
        }
        self.settle();
        self.judge(round, kind);
    }

    fn judge(&mut self, round: usize, kind: Kind) {
        let timeline: Timeline = std::mem::take(&mut self.events).into_iter().collect();
        let verdict = Verdict::of(&timeline, |key| self.keys.rules(key), &self.killed);
        println!("{kind} round {round}: {verdict}");
        self.fates.add(&timeline);
        let complaints = kind.complaints(&verdict);
        complaints.iter().for_each(|one| println!("  {one}"));
        if kind == Kind::Quiet {
            let late = verdict.late.iter();
            self.unexplained += late
                .filter(|late| !self.witness.explains(late, &timeline))
                .count();
        }
        self.verdicts.entry(kind).or_default().merge(verdict);
        self.witness.forget();
    }

    fn some_calls(&mut self) {
        let run = self.keys.run(&mut self.random);
        self.call(&run);
        if self.random.one_of(4) == 0 {
            // While it is being computed, by chance, and more ask for it.
            thread::sleep(Duration::from_millis(self.random.one_of(60)));
            self.invalidate(&run);
            self.call(&run);
        }
    }

    fn invalidate(&mut self, run: &Run) {
        let (scope, name) = Keys::to_invalidate(run, &mut self.random);
        let index = self.any_worker();
        match &mut self.writer {
            Some(writer) if self.random.one_of(3) == 0 => {
                self.events.extend(writer.invalidate(scope, &name));
            }
            _ => self.workers[index].begin_to_invalidate(scope, &name),
        }
    }

    fn call(&mut self, run: &Run) {
        for worker in &mut self.workers {
            if self.random.one_of(2) == 0 {
                worker.run(run);
            }
        }
    }

    fn any_worker(&mut self) -> usize {
        self.random.one_of(self.workers.len() as u64) as usize
    }

    /// Every call is answered, every runtime whole, and no lock left.
    fn settle(&mut self) {
        self.postgres.delay(Duration::ZERO);
        self.redis.delay(Duration::ZERO);
        let answered = |worker: &Worker| Timeline::of([worker]).is_over();
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
        self.fates.stats = self.fates.stats + self.stats();
        for (kind, verdict) in &self.verdicts {
            println!("{kind}: {verdict}");
        }
        println!(
            "{}\n{} processes killed, {} locks left, {} late wake-ups in quiet rounds that nothing explains",
            self.fates,
            self.killed.len(),
            self.locks_left,
            self.unexplained
        );
        let is_broken = |(kind, verdict): (&Kind, &Verdict)| {
            let late = verdict.longest_wait > LONGEST || verdict.unanswered > 0;
            late || !kind.complaints(verdict).is_empty()
        };
        let broken = self.verdicts.iter().any(is_broken);
        if broken || self.unexplained > 0 || self.locks_left > 0 {
            println!("a promise was broken");
            return ExitCode::FAILURE;
        }
        println!("every promise was kept");
        ExitCode::SUCCESS
    }
}
