//! An outage is said once when it begins and once when it ends, by each process. Case 56.

use std::thread;
use std::time::{Duration, Instant};

use tests::{Run, Servers, Setup, Stop, Worker, wait_until};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);

const WITHOUT_STORE: &str = "the store is not used";
const WITH_STORE: &str = "the store is used again";
const WITHOUT_LOCK: &str = "computing without the lock";
const WITH_LOCK: &str = "the lock is used again";

struct Watched {
    worker: Worker,
    calls: usize,
}

impl Watched {
    fn start(servers: &Servers) -> Self {
        let setup = Setup {
            log: Some("info".to_owned()),
            ..servers.setup()
        };
        let mut watched = Self {
            worker: Worker::start(WORKER, &setup),
            calls: 0,
        };
        watched.call(2);
        watched
    }

    /// Calls of a cold key each, one after the other.
    fn call(&mut self, calls: usize) {
        for _ in 0..calls {
            self.calls += 1;
            let key = format!("call {}", self.calls);
            self.worker.run(&Run::of(&key, Duration::from_millis(1)));
            self.worker.wait(self.calls);
        }
    }

    fn said(&self, line: &str) -> usize {
        let logged = self.worker.logged();
        logged.iter().filter(|logged| logged.contains(line)).count()
    }

    fn call_until_said(&mut self, line: &str) {
        let begun = Instant::now();
        while self.said(line) == 0 {
            assert!(begun.elapsed() < LIMIT, "not said: {line}");
            self.call(1);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The lines about trouble with servers, in their order, each by its words.
    fn troubles(&self) -> Vec<&'static str> {
        let lines = [WITHOUT_STORE, WITH_STORE, WITHOUT_LOCK, WITH_LOCK];
        let logged = self.worker.logged();
        let known = |line: &String| lines.into_iter().find(|known| line.contains(known));
        logged.iter().filter_map(known).collect()
    }
}

#[test]
fn redis_outage_is_said_when_it_begins_and_when_it_ends() {
    let mut servers = Servers::start();
    let mut watched = Watched::start(&servers);
    assert_eq!(watched.troubles(), [""; 0]);
    for outage in 1..=2 {
        servers.redis.stop();
        let begun = Instant::now();
        watched.call(5);
        servers.redis.start_again();
        let at_least = begun.elapsed();
        let before = watched.said(WITH_STORE);
        while watched.said(WITH_STORE) == before {
            assert!(begun.elapsed() < LIMIT, "its end is not said");
            watched.call(1);
            thread::sleep(Duration::from_millis(20));
        }
        watched.call(3);
        assert_eq!(
            watched.troubles(),
            [WITHOUT_STORE, WITH_STORE].repeat(outage)
        );
        let logged = watched.worker.logged();
        let end = logged
            .iter()
            .rfind(|line| line.contains(WITH_STORE))
            .unwrap();
        assert!(end.contains("INFO"), "{end}");
        let calls = end.split("calls=").nth(1).unwrap();
        let calls: usize = calls.split_whitespace().next().unwrap().parse().unwrap();
        assert!(calls >= 5 && calls <= watched.calls, "{end}");
        eprintln!("an outage of over {at_least:?}: {end}");
    }
}

#[test]
fn postgres_outage_is_said_when_it_begins_and_when_it_ends() {
    let mut servers = Servers::start();
    let mut watched = Watched::start(&servers);
    servers.postgres.stop(Stop::Immediate);
    watched.call_until_said(WITHOUT_LOCK);
    watched.call(3);
    servers.postgres.start_again();
    watched.call_until_said(WITH_LOCK);
    watched.call(3);
    assert_eq!(watched.troubles(), [WITHOUT_LOCK, WITH_LOCK]);
    // The rest is the lock's business, and no other line is at WARN.
    let warnings = watched.worker.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

#[test]
fn several_callers_of_an_outage_say_it_once() {
    let mut servers = Servers::start();
    let mut watched = Watched::start(&servers);
    servers.redis.stop();
    let callers = tests::Callers::Mixed(50);
    let run = Run::of("many", Duration::from_millis(10)).callers(callers);
    watched.worker.run(&run.distinct());
    watched.calls += callers.count();
    watched.worker.wait(watched.calls);
    servers.redis.start_again();
    watched.call_until_said(WITH_STORE);
    assert_eq!(watched.troubles(), [WITHOUT_STORE, WITH_STORE]);
    wait_until(LIMIT, "its calls are counted", || {
        let logged = watched.worker.logged();
        let end = logged
            .iter()
            .find(|line| line.contains(WITH_STORE))
            .unwrap();
        let calls = end.split("calls=").nth(1).unwrap();
        let calls: usize = calls.split_whitespace().next().unwrap().parse().unwrap();
        (50..=watched.calls).contains(&calls)
    });
}
