//! What many processes cost one PostgreSQL: connections, memory, heartbeats, wake-ups, locks, processor time.
//!
//! `cargo run --release -p tests --bin scale -- [--real 20,200,1000] [--bare 20,200,1000,4000] [--seconds 10] [--held 3]
//! [--only before] [--quick]`
//!
//! A process is a runtime of `worksharing` with sessions and threads of its own (`--real`), or what its sessions say over
//! bare connections (`--bare`), of which thousands fit into a machine: once with a session that listens all the time
//! (*before*), and once with one that is opened when somebody waits (*after*). Each number of processes has a private
//! server, and goes through the same states: quiet (each process holds some keys), a commit that notifies, and all waiting
//! for one key. The figures are a Markdown table. Nothing is left behind; what takes longer than `--limit` seconds (900)
//! is given up.

mod bare;
mod plan;
mod real;
mod row;
mod server;

use std::time::{Duration, Instant};
use std::{fs, io, process, thread};

use tests::soaking::option;
use tests::wait_until;

use self::bare::Bare;
use self::plan::Plan;
use self::real::Real;
use self::row::{Row, print};
use self::server::{Cost, Server};

/// What all wait for.
const HERD: &str = "the herd's key";
const LIMIT: Duration = Duration::from_secs(120);

/// Many processes that have connected, and hold some keys each.
trait Fleet {
    /// All wait for [`HERD`], which somebody else holds.
    fn begin_to_wait(&mut self);

    /// How many notifications they have heard in all, where they count.
    fn heard(&self) -> Option<usize>;

    /// Whether any of them still waits, or is on its way to be served.
    fn waits(&self) -> bool;

    /// They let go of what they hold, and have nothing to do from now on.
    fn end(&mut self);
}

/// What a commit that notifies costs.
#[derive(Clone, Copy, Debug, Default)]
struct Notified {
    listeners: usize,
    time: Duration,
    cpu: Duration,
}

fn main() {
    end_after(option("--limit").unwrap_or(900));
    // What is said of troubles.
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(io::stderr)
        .with_env_filter("warn")
        .init();
    let plan = Plan::of_arguments();
    let mut rows = Vec::new();
    for &processes in &plan.real {
        let start =
            |server: &Server| -> Box<dyn Fleet> { Box::new(Real::start(server, processes, &plan)) };
        rows.push(measure(&plan, processes, "real", start));
    }
    for (kind, sessions) in &plan.kinds {
        for &processes in &plan.bare {
            let start = |server: &Server| -> Box<dyn Fleet> {
                Box::new(Bare::start(server, processes, plan.held, *sessions))
            };
            rows.push(measure(&plan, processes, kind, start));
        }
    }
    print(&rows);
}

/// Ends the program; its servers end with it.
fn end_after(seconds: u64) {
    thread::spawn(move || {
        thread::sleep(Duration::from_secs(seconds));
        eprintln!("given up after {seconds} s: fewer processes, or a greater --limit");
        process::exit(1);
    });
}

fn measure(
    plan: &Plan,
    processes: usize,
    kind: &str,
    start: impl Fn(&Server) -> Box<dyn Fleet>,
) -> Row {
    let mut row = Row::of(kind, processes, load());
    let mut server = Server::start(2 * processes);
    // One holds what all wait for, and the other waits: real ones, so that somebody watches who knows how to.
    let witnesses = Real::witnesses(&server, 2);
    let begun = Instant::now();
    let mut fleet = start(&server);
    row.connected = begun.elapsed();
    eprintln!(
        "{processes} processes ({kind}) have connected in {:?}",
        row.connected
    );
    // What runs for a second is told of; and who has connected has done more than beat.
    thread::sleep(plan.settle);
    row.sessions = server.sessions();
    row.mib = server.mib_per_session();
    row.locks = server.locks();
    row.quiet = server.during(plan.time);
    let listeners = row.sessions.saturating_sub(processes);
    row.notified = notify(plan, &mut server, &*fleet, listeners, row.quiet);
    witnesses.hold_for_all(&server);
    fleet.begin_to_wait();
    witnesses.wait_with_all();
    let took = wait_until(LIMIT, "all wait", || server.waiting() > processes);
    eprintln!("all wait, after {took:?}");
    // Whoever has begun to wait looks more often at first.
    thread::sleep(plan.settle);
    row.sessions_waiting = server.sessions();
    row.locks_waiting = server.locks();
    row.waiting = server.during(plan.time);
    let begun = Instant::now();
    witnesses.release();
    if fleet.waits() {
        wait_until(LIMIT, "nobody waits any more", || !fleet.waits());
        row.served = Some(begun.elapsed());
    }
    eprintln!("all have waited");
    fleet.end();
    row.sessions_idle = settled(plan.idle + plan.settle, || server.sessions());
    row
}

/// A number that has not become smaller for some time.
fn settled(time: Duration, number: impl Fn() -> usize) -> usize {
    let mut last = number();
    loop {
        thread::sleep(time);
        let next = number();
        if next >= last {
            return next;
        }
        last = next;
    }
}

/// Commits that notify, of a key that nobody waits for: how long one takes until the last listener has heard of it, and
/// what the server spends on it.
fn notify(
    plan: &Plan,
    server: &mut Server,
    fleet: &dyn Fleet,
    listeners: usize,
    quiet: Cost,
) -> Notified {
    let mut times = Vec::new();
    let cost = server.meanwhile(|client| {
        for _ in 0..plan.commits {
            let before = fleet.heard();
            let begun = Instant::now();
            let sql = "SELECT pg_notify('worksharing', '0')";
            client.execute(sql, &[]).expect(sql);
            let all_have_heard = || match (before, fleet.heard()) {
                (Some(before), Some(heard)) => heard >= before + listeners,
                _ => true,
            };
            while !all_have_heard() {
                assert!(begun.elapsed() < LIMIT, "not all have heard");
                thread::sleep(Duration::from_micros(100));
            }
            times.push(begun.elapsed());
            thread::sleep(Duration::from_millis(50));
        }
        // Whoever is not counted has heard, too.
        thread::sleep(Duration::from_millis(200));
    });
    times.sort_unstable();
    // Heartbeats go on meanwhile.
    let of_others = quiet
        .cpu
        .mul_f64(cost.lasted.as_secs_f64() / quiet.lasted.as_secs_f64());
    Notified {
        listeners,
        time: times[plan.commits / 2],
        cpu: cost.cpu.saturating_sub(of_others) / plan.commits as u32,
    }
}

/// How busy the machine is.
fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}
