//! What is larger than allowed is not read to find that out. Number 37 of the issue on bounds.

use std::time::Duration;

use tests::{PostgresServer, Resources, Run, Servers, Setup, Worker, peak_kib};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");

const ALLOWED: usize = 1 << 20;
/// Above what a process of ours uses for itself.
const USUAL_KIB: usize = 64 * 1024;

fn oversized(setup: Setup, make: impl Fn(&str)) {
    let setup = Setup {
        max_value_bytes: Some(ALLOWED),
        ..setup
    };
    let mut worker = Worker::start(WORKER, &setup);
    worker.run(&Run::of("ours", Duration::ZERO));
    worker.wait(1);
    let before: Resources = worker.resources();
    let key = worksharing::Key::new("theirs");
    make(&key.hex());
    worker.run(&Run::of("theirs", Duration::ZERO));
    worker.wait(2);
    let peak = peak_kib(worker.pid());
    eprintln!("at first {before}; at most {} MiB", peak / 1024);
    let timeline = tests::Timeline::of([&worker]).key("theirs");
    assert_eq!((timeline.executions(), timeline.errors().len()), (1, 0));
    assert!(
        peak < before.resident_kib + USUAL_KIB,
        "{before}, then {peak} KiB"
    );
}

#[test]
fn oversized_value_in_redis_is_not_read() {
    let servers = Servers::start();
    oversized(servers.setup(), |hex| {
        let _: usize = redis::cmd("SETRANGE")
            .arg(format!("ws:{hex}"))
            .arg(300_000_000)
            .arg("x")
            .query(&mut servers.redis.connect())
            .unwrap();
    });
}

#[test]
fn oversized_value_in_postgres_is_not_read() {
    let server = PostgresServer::start();
    oversized(Setup::on_postgres(server.url()), |hex| {
        let sql = "INSERT INTO worksharing (key, value, expires)
                   SELECT $1, convert_to(repeat('x', 150000000), 'UTF8'), now() + interval '1 hour'";
        let key = format!("ws:{hex}");
        server.connect().execute(sql, &[&key]).unwrap();
    });
}

#[test]
fn oversized_value_in_a_directory_is_not_read() {
    let directory = tempfile::TempDir::new().unwrap();
    oversized(Setup::in_directory(directory.path()), |hex| {
        let shard = directory.path().join("values").join(&hex[..2]);
        std::fs::create_dir_all(&shard).unwrap();
        let file = std::fs::File::create(shard.join(hex)).unwrap();
        file.set_len(300_000_000).unwrap();
    });
}
