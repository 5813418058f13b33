//! Leases and locks belong to somebody, whatever became of the connection over which they were taken. Case 26;
//! numbers 1, 24 and 25 of the issue on bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use tests::{Mesh, PostgresServer, Proxy, Run, Servers, Setup, wait_until};
use worksharing::{PostgresLock, WorkSharing};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(10);

/// 16 threads that ask for a new key each time, and how often they were served.
struct Callers {
    ended: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    threads: Vec<thread::JoinHandle<()>>,
}

const CALLERS: usize = 16;

impl Callers {
    fn start(sharing: &WorkSharing) -> Self {
        let (ended, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let threads = (0..CALLERS)
            .map(|thread| {
                let (sharing, ended, served) = (sharing.clone(), ended.clone(), served.clone());
                thread::spawn(move || {
                    for call in 0.. {
                        if ended.load(SeqCst) {
                            break;
                        }
                        let work = sharing.work(format!("thread {thread}, call {call}"));
                        work.run_blocking(|| thread::sleep(Duration::from_millis(3)));
                        served.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        Self {
            ended,
            served,
            threads,
        }
    }

    /// Each of them is answered once more, and ends.
    fn end(self) {
        self.ended.store(true, SeqCst);
        let hanging = || {
            let threads = self.threads.iter();
            threads.filter(|thread| !thread.is_finished()).count()
        };
        let began = Instant::now();
        while hanging() > 0 && began.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(20));
        }
        let served = self.served.load(SeqCst);
        assert_eq!(hanging(), 0, "callers hang; {served} calls were served");
        // Not how fast: a loaded machine serves few.
        assert!(served > CALLERS, "{served} calls");
    }
}

fn sharing(url: String, lock: PostgresLock) -> WorkSharing {
    let redis = worksharing::store::Memory::new();
    let builder = WorkSharing::builder().postgres(url).postgres_lock(lock);
    builder.store(redis).build().unwrap()
}

/// Cut often, at moments that differ: some of them are between a statement and its answer.
fn cut_often(proxy: &Proxy) {
    proxy.delay(Duration::from_millis(2));
    proxy.cut_often(30, Duration::from_millis(103));
    proxy.delay(Duration::ZERO);
}

/// What is alive is not renewed: somebody who is gone took it, and it runs out.
#[track_caller]
fn no_lease_is_renewed(server: &PostgresServer) {
    let before = server.live_leases("worksharing_leases");
    thread::sleep(Duration::from_secs(7));
    let after = server.live_leases("worksharing_leases");
    let renewed = after
        .iter()
        .filter(|(key, until)| before.get(key).is_none_or(|before| before < *until));
    assert_eq!(renewed.count(), 0, "leases of nobody: {after:?}");
}

#[test]
fn leases_survive_cuts_only_with_their_owners() {
    let server = PostgresServer::start();
    let proxy = Proxy::to(server.port());
    let sharing = sharing(proxy.postgres_url(), PostgresLock::Lease);
    sharing.check().unwrap();
    let callers = Callers::start(&sharing);
    cut_often(&proxy);
    callers.end();
    no_lease_is_renewed(&server);
}

#[test]
fn leases_survive_stalls_only_with_their_owners() {
    let server = PostgresServer::start();
    let proxy = Proxy::to(server.port());
    let sharing = sharing(proxy.postgres_url(), PostgresLock::Lease);
    sharing.check().unwrap();
    let callers = Callers::start(&sharing);
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(200));
        proxy.stall(Duration::from_millis(4_200));
    }
    callers.end();
    no_lease_is_renewed(&server);
}

#[test]
fn session_locks_survive_neither_cuts_nor_stalls() {
    let server = PostgresServer::start();
    let proxy = Proxy::to(server.port());
    let sharing = sharing(proxy.postgres_url(), PostgresLock::Session);
    sharing.check().unwrap();
    let callers = Callers::start(&sharing);
    cut_often(&proxy);
    proxy.stall(Duration::from_millis(4_200));
    callers.end();
    wait_until(LIMIT, "no lock is left", || server.advisory_locks() == 0);
}

// ---- 24: while all places among the held keys are taken, a dead leader is noticed all the same.

#[test]
fn dead_leader_is_followed_while_no_more_keys_may_be_held() {
    let servers = Servers::start();
    let mut mesh = Mesh::start(1, WORKER, &servers.setup());
    mesh.run(&Run::of("of the dead", Duration::from_secs(60)));
    mesh.wait_for_leader("of the dead");
    let ours = servers.builder().max_held_keys(1).build().unwrap();
    let waiting = ours.clone();
    let waiter = thread::spawn(move || waiting.work("of the dead").run_blocking(|| 1));
    // It has tried, and waits.
    wait_until(LIMIT, "interest is shown", || {
        servers.postgres.shown_interest() == 1
    });
    let (held, is_held) = (ours.clone(), Arc::new(AtomicBool::new(false)));
    let told = Arc::clone(&is_held);
    thread::spawn(move || {
        held.work("the only one").run_blocking(|| {
            told.store(true, SeqCst);
            thread::sleep(Duration::from_secs(60));
        })
    });
    wait_until(LIMIT, "the only key is held", || is_held.load(SeqCst));
    let killed = Instant::now();
    mesh.workers[0].kill9();
    wait_until(LIMIT, "another takes over", || waiter.is_finished());
    let takeover = killed.elapsed();
    eprintln!("taken over {takeover:?} after the kill");
    assert!(takeover < Duration::from_secs(4), "{takeover:?}");
}

// ---- 25: a release whose notification the server refuses. (A full queue takes 8 GB; a right that is taken away
// makes the same statement fail.)

#[test]
fn refused_notifications_do_not_cost_the_session() {
    let servers = Servers::start();
    let mut admin = servers.postgres.connect();
    admin
        .batch_execute(
            "CREATE ROLE quiet LOGIN; GRANT CREATE ON SCHEMA public TO quiet;
             REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM PUBLIC",
        )
        .unwrap();
    let setup = Setup {
        postgres: Some(servers.postgres.url_for("quiet")),
        lock: Some("session".to_owned()),
        ..servers.setup()
    };
    let mut mesh = Mesh::start(3, WORKER, &setup);
    mesh.run_all(&Run::of("before", Duration::from_millis(200)));
    let before = servers.postgres.session_pids();
    for round in 0..3 {
        // Contended: two others wait for it.
        mesh.run(&Run::of(
            &format!("round {round}"),
            Duration::from_millis(300),
        ));
        let timeline = mesh.wait(2 + round);
        assert_eq!(timeline.key(&format!("round {round}")).executions(), 1);
    }
    assert_eq!(
        servers.postgres.session_pids(),
        before,
        "sessions were lost"
    );
}
