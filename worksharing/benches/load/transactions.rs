//! What an invalidation costs the transaction that it is a part of, what it costs until it is laid, and what the option
//! costs whoever looks.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use postgres::{Client, NoTls};
use tests::PostgresServer;
use worksharing::WorkSharing;

use crate::Load;
use crate::bed::{Report, TTL};
use crate::callers;
use crate::rounds::{compare, contender};

/// Clients that write at the same time.
const CLIENTS: usize = 8;
/// Sessions that listen, as one of each process would have to.
const LISTENERS: usize = 16;

/// A server that keeps what was committed, as one must on whose commits something rests.
fn server() -> PostgresServer {
    PostgresServer::start_with(&[("fsync", "on"), ("full_page_writes", "on")])
}

fn transactional(load: &Load, postgres: &str) -> Result<WorkSharing> {
    let sharing = WorkSharing::builder()
        .postgres(postgres)
        .redis(load.bed.redis.url())
        .transactional_invalidation(true)
        .build()?;
    sharing.check()?;
    Ok(sharing)
}

/// Short transactions, with and without an invalidation, which one process lays meanwhile; and with a NOTIFY in its place.
pub(crate) fn commits(load: &Load) -> Result<()> {
    let server = server();
    let _consumer = transactional(load, &server.url())?;
    let mut client = Client::connect(&server.url(), NoTls)?;
    client.batch_execute(
        "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 50);
         INSERT INTO accounts SELECT n, 0 FROM generate_series(0, 63) AS n",
    )?;
    let _listeners = listeners(&server)?;
    let clients = (0..CLIENTS).map(|_| Client::connect(&server.url(), NoTls).map(Mutex::new));
    let clients = clients.collect::<Result<Vec<_>, _>>()?;
    let rate = |statement: &str| rate(load.time, &clients, statement);
    let contenders = vec![
        contender("with an invalidation", || {
            let rate = rate("SELECT worksharing_invalidate('account:$');");
            // The next one is not to pay for it.
            wait_until_nothing_is_due(&mut client)?;
            Ok(rate)
        }),
        contender("without", || Ok(rate(""))),
        contender("with a NOTIFY in its place", || {
            Ok(rate("SELECT pg_notify('changed', 'account:$');"))
        }),
    ];
    compare(load.rounds, "commits/s", contenders)
}

fn listeners(server: &PostgresServer) -> Result<Vec<Client>> {
    let listener = |_| {
        let mut client = Client::connect(&server.url(), NoTls)?;
        client.batch_execute("LISTEN changed")?;
        anyhow::Ok(client)
    };
    (0..LISTENERS).map(listener).collect()
}

/// Each client writes rows of its own. `$` in the statement is a number.
fn rate(time: Duration, clients: &[Mutex<Client>], statement: &str) -> f64 {
    callers::threads(CLIENTS, time, |client, call| {
        let row = client as u64 + CLIENTS as u64 * (call % 8);
        let statement = statement.replace('$', &format!("{client}:{call}"));
        let sql = format!(
            "BEGIN; UPDATE accounts SET balance = balance + 1 WHERE id = {row}; {statement} COMMIT"
        );
        let mut client = clients[client].lock().expect("nobody panics");
        client.batch_execute(&sql).expect("it commits");
    })
}

fn wait_until_nothing_is_due(client: &mut Client) -> Result<()> {
    const IS_DUE: &str = "\
SELECT EXISTS (SELECT FROM worksharing_outbox) OR EXISTS (SELECT FROM worksharing_outbox_due)";
    while client.query_one(IS_DUE, &[])?.get(0) {
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// How long many invalidations of one transaction take from its commit to the last tombstone.
pub(crate) fn consumed(load: &Load) -> Result<()> {
    const ROWS: u32 = 100_000;
    let servers = [server(), server()];
    let redis = transactional(load, &servers[0].url())?;
    let beside = WorkSharing::builder()
        .postgres(servers[1].url())
        .transactional_invalidation(true)
        .build()?;
    beside.check()?;
    for (name, server, _sharing) in [
        ("values in Redis", &servers[0], redis),
        ("values in PostgreSQL", &servers[1], beside),
    ] {
        let mut client = Client::connect(&server.url(), NoTls)?;
        let sql = "SELECT count(worksharing_invalidate('row:' || n)) FROM generate_series(1, $1::int) AS n";
        client.execute(sql, &[&i32::try_from(ROWS)?])?;
        let committed = Instant::now();
        wait_until_nothing_is_due(&mut client)?;
        let took = committed.elapsed();
        println!("  {ROWS} keys, {name:<22} {took:?}");
    }
    Ok(())
}

/// Hits with values in PostgreSQL, which look for what is pending, and without.
pub(crate) fn hits(load: &Load) -> Result<()> {
    let build = |is_on: bool, table: &str| -> Result<WorkSharing> {
        let builder = WorkSharing::builder().postgres(load.bed.postgres.url());
        let sharing = builder
            .table(table)
            .transactional_invalidation(is_on)
            .build()?;
        sharing.check()?;
        Ok(sharing)
    };
    let (on, off) = (build(true, "looked")?, build(false, "plain")?);
    let hit = |sharing: &WorkSharing| {
        callers::alone(load.time, |call| {
            let work = sharing.work(format!("hit:{}", call % 8)).ttl(60 * TTL);
            drop(work.run_blocking(Report::compute));
        })
    };
    compare(
        load.rounds,
        "µs",
        vec![
            contender("transactional", || Ok(hit(&on))),
            contender("without", || Ok(hit(&off))),
        ],
    )
}
