use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use tests::{Resources, Worker};

use crate::Endurance;

/// What the processes live through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Both servers take everything and answer nothing.
    Silence,
    /// They stand still again and again, for longer than a call waits for them.
    Stalls,
    /// Connections are cut.
    Cuts,
    /// Sessions are ended by the servers.
    Terminations,
    /// Answers come byte after byte.
    SlowAnswers,
    /// Servers restart.
    Restarts,
    /// Thousands of callers are aborted.
    Cancellation,
    /// Thousands of callers queue for a place among the held keys, and give up.
    Queueing,
    /// Runtimes are built, used and dropped.
    Churn,
}

/// In this order, again and again.
pub(crate) const FAULTS: &[Fault] = &[
    Fault::Silence,
    Fault::Stalls,
    Fault::Cuts,
    Fault::Terminations,
    Fault::SlowAnswers,
    Fault::Restarts,
    Fault::Cancellation,
    Fault::Queueing,
    Fault::Churn,
];

impl Fault {
    /// Whether every promise holds while it lasts.
    pub(crate) fn spares_the_servers(self) -> bool {
        matches!(self, Self::Cancellation | Self::Queueing | Self::Churn)
    }

    /// How much more a process may have while it lasts than when all is calm.
    pub(crate) fn allowance(self) -> Resources {
        match self {
            // A runtime that was dropped may still be on its way out.
            Self::Churn | Self::Queueing => Resources {
                threads: 100,
                descriptors: 400,
                resident_kib: 64 * 1024,
            },
            // One abandoned thread for each of three links, with what it has open.
            _ => Resources {
                threads: 4,
                descriptors: 20,
                resident_kib: 32 * 1024,
            },
        }
    }
}

/// Tells everybody of a release, five times a second: nothing is to depend on silence.
pub(crate) fn notify_steadily(url: String) {
    let url = format!("{url}?application_name=the%20test");
    thread::spawn(move || {
        loop {
            // The server may be down.
            if let Ok(mut client) = Client::connect(&url, NoTls) {
                while client.batch_execute("NOTIFY worksharing, '1'").is_ok() {
                    thread::sleep(Duration::from_millis(200));
                }
            }
            thread::sleep(Duration::from_millis(200));
        }
    });
}

impl Endurance {
    /// Lets a fault last for its time beside calls, and ends it. Returns how long it lasted.
    pub(crate) fn inflict(&mut self, fault: Fault, cycle: u32) -> Duration {
        let of = format!("cycle {cycle}, {fault:?}");
        // Long enough for the watch over a link to lose its patience more than once.
        let time = match fault {
            Fault::Silence => (3 * self.fault).max(Duration::from_secs(7)),
            _ => self.fault,
        };
        let began = Instant::now();
        self.begin(fault);
        while began.elapsed() < time {
            self.some_calls(&of);
            self.go_on(fault);
            thread::sleep(Duration::from_millis(80));
        }
        self.postgres.thaw();
        self.redis.thaw();
        self.postgres.hurry();
        self.redis.hurry();
        began.elapsed()
    }

    fn begin(&mut self, fault: Fault) {
        const SLOW: Duration = Duration::from_millis(100);
        match fault {
            Fault::Silence => {
                self.postgres.freeze();
                self.redis.freeze();
            }
            Fault::SlowAnswers => {
                self.postgres.pace_answers(8, SLOW);
                self.redis.pace_answers(1, SLOW);
            }
            _ => {}
        }
    }

    fn go_on(&mut self, fault: Fault) {
        let workers = |endurance: &mut Self, ask: &dyn Fn(&mut Worker)| {
            let meshes = endurance.meshes.iter_mut();
            meshes.flat_map(|mesh| &mut mesh.workers).for_each(ask);
        };
        match fault {
            Fault::Stalls => {
                let time = Duration::from_millis(500 + self.random.one_of(4_000));
                let one = self.random.one_of(3);
                if one != 0 {
                    self.postgres.freeze();
                }
                if one != 1 {
                    self.redis.freeze();
                }
                thread::sleep(time);
                self.postgres.thaw();
                self.redis.thaw();
            }
            Fault::Cuts => {
                self.postgres.cut();
                self.redis.cut();
            }
            Fault::Terminations => {
                self.servers
                    .postgres
                    .terminate(&self.servers.postgres.session_pids());
                let _: redis::RedisResult<redis::Value> = redis::cmd("CLIENT")
                    .arg(&["KILL", "TYPE", "normal"])
                    .query(&mut self.servers.redis.connect());
            }
            Fault::Restarts => {
                self.servers.redis.restart();
                self.servers.postgres.restart();
                thread::sleep(Duration::from_millis(300));
            }
            Fault::Cancellation => workers(self, &|worker| worker.cancel(1_000)),
            Fault::Queueing => workers(self, &|worker| {
                let trouble = worker.give_up(1_000);
                assert_eq!(trouble, None);
            }),
            Fault::Churn => workers(self, &|worker| {
                let trouble = worker.churn(10);
                assert_eq!(trouble, None);
            }),
            Fault::Silence | Fault::SlowAnswers => {}
        }
    }
}
