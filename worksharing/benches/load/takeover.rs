//! How long after the session of the one who computes has ended the next one computes.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use postgres::Client;
use worksharing::{Key, WorkSharing};

use crate::Load;
use crate::bed::{Report, TTL};
use crate::rounds::{Goal, compare, contender};

/// For how long the next one waits before: a poll alone would come half a second later, on average.
const WAITS: Duration = Duration::from_millis(1_400);

/// Beside the gist, which is blocked in PostgreSQL while it waits.
pub(crate) fn of_a_dead_session(load: &Load) -> Result<()> {
    let waiting = load.bed.sharing()?;
    let (mut ours, mut gists) = (0, 0);
    compare(
        load.rounds,
        "ms",
        vec![
            contender("worksharing", || {
                ours += 1;
                by_worksharing(load, &waiting, &format!("takeover:{ours}"))
            }),
            contender("blocked in PostgreSQL", || {
                gists += 1;
                by_blocking(load, &format!("takeover of the gist:{gists}"))
            })
            .goal(Goal::AtMostMore(50.0)),
        ],
    )
}

fn by_worksharing(load: &Load, waiting: &WorkSharing, characteristic: &str) -> Result<f64> {
    let (begun, begins) = mpsc::channel();
    let (end, ends) = mpsc::channel::<()>();
    let mut psql = load.bed.postgres.connect();
    thread::scope(|scope| {
        let leading = load.sharing.work(characteristic).ttl(TTL);
        scope.spawn(move || {
            leading.run_blocking(|| {
                begun.send(()).expect("nobody waits for it");
                // Its other end is dropped.
                ends.recv().unwrap_or_default();
                Report::compute()
            })
        });
        begins.recv()?;
        let next = waiting.work(characteristic).ttl(TTL);
        let next = scope.spawn(move || {
            let mut began = None;
            next.run_blocking(|| {
                began = Some(Instant::now());
                Report::compute()
            });
            began
        });
        thread::sleep(WAITS);
        let ended = terminate_holder(&mut psql, characteristic)?;
        let began = next.join().expect("a caller panicked");
        drop(end);
        milliseconds(ended, began)
    })
}

fn by_blocking(load: &Load, characteristic: &str) -> Result<f64> {
    let lock = Key::new(characteristic).lock_key();
    let mut holder = load.bed.postgres.connect();
    holder.query("SELECT pg_advisory_lock($1)", &[&lock])?;
    let mut next = load.bed.postgres.connect();
    let mut psql = load.bed.postgres.connect();
    thread::scope(|scope| {
        let next = scope.spawn(move || {
            let locked = next.query("SELECT pg_advisory_lock($1)", &[&lock]);
            locked.is_ok().then(Instant::now)
        });
        thread::sleep(WAITS);
        let ended = terminate_holder(&mut psql, characteristic)?;
        milliseconds(ended, next.join().expect("a caller panicked"))
    })
}

/// As the server does when a process is killed.
fn terminate_holder(psql: &mut Client, characteristic: &str) -> Result<Instant> {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks
                WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock'
                  AND classid::bigint << 32 | objid::bigint = $1";
    let lock = Key::new(characteristic).lock_key();
    let now = Instant::now();
    let ended: i64 = psql.query_one(sql, &[&lock])?.get(0);
    anyhow::ensure!(ended == 1, "{ended} sessions hold the key");
    Ok(now)
}

fn milliseconds(from: Instant, to: Option<Instant>) -> Result<f64> {
    let to = to.context("the next one has not computed")?;
    Ok(to.saturating_duration_since(from).as_secs_f64() * 1e3)
}
