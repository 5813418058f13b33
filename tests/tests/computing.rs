//! `computing()` names what other processes compute, and forgets who died. Case 56.

use std::thread;
use std::time::{Duration, Instant};

use tests::{
    Build, Callers, Computed, Log, Mesh, PostgresServer, Run, Servers, Setup, Worker,
    on_each_backend, on_each_setup, wait_until, whole,
};
use tracing::subscriber::with_default;
use worksharing::WorkSharing;

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(20);
/// Longer than anything else here takes.
const LONG: Duration = Duration::from_secs(30);

fn find(worker: &mut Worker, key: &str) -> Option<Computed> {
    worker.computing().into_iter().find(|it| it.key == key)
}

#[test]
fn other_process_names_a_running_computation_and_who_waits() {
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(4, WORKER, setup);
        mesh.workers[0].run(&Run::of("named", LONG));
        assert_eq!(mesh.wait_for_leader("named"), 0);
        for waiter in &mut mesh.workers[1..3] {
            waiter.run(&Run::of("named", LONG).callers(Callers::Mixed(4)));
        }
        let pid = mesh.workers[0].pid();
        let observer = &mut mesh.workers[3];
        wait_until(LIMIT, "two processes are seen to wait", || {
            find(observer, "named").is_some_and(|it| it.waiting == 2)
        });
        let found = find(observer, "named").unwrap();
        assert_eq!(found.process, pid);
        assert_eq!(found.function, "work");
        assert!(!found.host.is_empty());
        assert!(found.running_for >= Duration::from_secs(1), "{found:?}");
        assert!(found.running_for < LIMIT, "{found:?}");
        // Its own process knows as much of it, and lists it once.
        let own: Vec<_> = mesh.workers[0].computing();
        assert_eq!(own.len(), 1, "{own:?}");
        assert_eq!((own[0].process, own[0].waiting), (pid, 2));
    });
}

#[test]
fn killed_process_is_forgotten_at_once() {
    on_each_setup(|setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        let run = Run::of("killed", LONG)
            .callers(Callers::Threads(20))
            .distinct();
        mesh.workers[0].run(&run);
        let told = |mesh: &mut Mesh| mesh.workers[1].computing().len();
        wait_until(LIMIT, "all are named", || told(&mut mesh) == 20);
        mesh.workers[0].kill9();
        let killed = Instant::now();
        wait_until(LIMIT, "none is named any more", || told(&mut mesh) == 0);
        assert!(
            killed.elapsed() < Duration::from_secs(3),
            "{:?}",
            killed.elapsed()
        );
        // Whoever computes the same next is not taken for it.
        let (next, pid) = (Run::of("killed0", LONG), mesh.workers[1].pid());
        let mut third = Worker::start(WORKER, setup);
        mesh.workers[1].run(&next);
        wait_until(LIMIT, "the next one is named", || {
            find(&mut third, "killed0").is_some()
        });
        assert_eq!(find(&mut third, "killed0").unwrap().process, pid);
    });
}

#[test]
fn rows_of_the_dead_are_removed() {
    let server = PostgresServer::start();
    let mut mesh = Mesh::start(2, WORKER, &Setup::on_postgres(server.url()));
    mesh.workers[0].run(&Run::of("swept", LONG));
    let mut admin = server.connect();
    let mut rows = move || -> i64 {
        let row = admin.query_one("SELECT count(*) FROM worksharing_computing", &[]);
        row.map_or(0, |row| row.get(0))
    };
    wait_until(LIMIT, "it is in the table", || rows() == 1);
    mesh.workers[0].kill9();
    wait_until(LIMIT, "its row is gone", || {
        assert!(mesh.workers[1].computing().len() <= 1);
        rows() == 0
    });
}

// ---- What is written, and when.

fn table_exists(server: &PostgresServer) -> bool {
    let sql = "SELECT to_regclass('worksharing_computing') IS NOT NULL";
    server.connect().query_one(sql, &[]).unwrap().get(0)
}

#[test]
fn nothing_is_published_of_what_is_short() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    let bodies: Vec<_> = (0..40)
        .map(|number| {
            let sharing = sharing.clone();
            let body = || thread::sleep(Duration::from_millis(200));
            thread::spawn(move || {
                for round in 0..10 {
                    let work = sharing.work(format!("short {number} {round}"));
                    work.run_blocking(body);
                }
            })
        })
        .collect();
    bodies.into_iter().for_each(|body| body.join().unwrap());
    // What is queued is served in its order: what had been published would be there by now.
    sharing.work("afterwards").run_blocking(|| ());
    assert!(!table_exists(&servers.postgres));
}

#[test]
fn thousand_keys_are_told_of_together() {
    let servers = Servers::start();
    let mut admin = servers.postgres.connect();
    admin
        .batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        .ok();
    let mut mesh = Mesh::start(2, WORKER, &servers.setup());
    let body = Duration::from_secs(6);
    let run = Run::of("one of many ", body);
    mesh.workers[0].run(&run.callers(Callers::Tasks(1_000)).distinct());
    wait_until(LIMIT, "a thousand are named", || {
        mesh.workers[1].computing().len() == 1_000
    });
    // Each statement has one transaction: what was written by one has one xmin.
    let row = admin.query_one(
        "SELECT count(DISTINCT xmin::text) FROM worksharing_computing",
        &[],
    );
    let statements: i64 = row.unwrap().get(0);
    assert!(statements <= 8, "{statements} statements wrote 1,000 rows");
    mesh.workers[0].wait(1_000);
    wait_until(LIMIT, "none is left", || {
        let rows = admin.query_one("SELECT count(*) FROM worksharing_computing", &[]);
        rows.unwrap().get::<_, i64>(0) == 0
    });
}

// ---- Backends and trouble. Each runtime is as good as another process.

fn while_computing(sharing: &WorkSharing, key: &str, run: impl FnOnce()) {
    let (began, begun) = std::sync::mpsc::channel();
    let (end, ends) = std::sync::mpsc::channel::<()>();
    let (work, body) = (sharing.work(key).name("shop::price"), move || {
        began.send(()).unwrap();
        // Whether it is told or its end is gone.
        ends.recv().is_ok()
    });
    let computing = thread::spawn(move || work.run_blocking(body));
    begun.recv().unwrap();
    run();
    drop(end);
    computing.join().unwrap();
}

fn named(sharing: &WorkSharing, key: &str) -> bool {
    let computing = sharing.computing_blocking().unwrap();
    computing
        .iter()
        .any(|it| it.key == key && it.function == "shop::price")
}

#[test]
fn each_backend_names_what_another_runtime_computes() {
    on_each_backend(|backend, build: Build<'_>| {
        let (one, other) = (build(), build());
        let key = "ключ, with 'quotes' and\nlines";
        while_computing(&one, key, || {
            assert!(named(&one, key), "{backend}: its own is named at once");
            wait_until(LIMIT, "it is named elsewhere", || named(&other, key));
        });
        assert!(!named(&one, key), "{backend}: it has ended");
        let what = format!("{backend}: it has ended elsewhere, too");
        wait_until(LIMIT, &what, || !named(&other, key));
    });
}

#[test]
fn dropped_or_panicking_body_is_not_named_any_more() {
    let sharing = WorkSharing::in_memory();
    let panicking = sharing.clone();
    thread::spawn(move || {
        panicking
            .work("panics")
            .run_blocking(|| -> () { panic!("as it should") })
    })
    .join()
    .unwrap_err();
    let mut call = Box::pin(
        sharing
            .work("dropped")
            .run(async || std::future::pending::<()>().await),
    );
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(call.as_mut().poll(&mut context).is_pending());
    assert_eq!(sharing.computing_blocking().unwrap().len(), 1);
    drop(call);
    assert!(sharing.computing_blocking().unwrap().is_empty());
}

#[test]
fn role_that_may_not_make_the_table_works_and_is_told_what_to_do() {
    let servers = Servers::start();
    let mut admin = servers.postgres.connect();
    admin
        .batch_execute("CREATE ROLE visitor LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        .unwrap();
    let builder = || {
        let builder = servers.builder();
        builder
            .postgres(servers.postgres.url_for("visitor"))
            .build()
            .unwrap()
    };
    let (one, other) = (builder(), builder());
    let log = Log::default();
    with_default(log.subscriber(), || one.check().unwrap());
    let complaint = whole(&one.computing_blocking().unwrap_err());
    for said in [&log.text(), &complaint] {
        eprintln!("it says: {said}");
        for word in ["CREATE UNLOGGED TABLE", "worksharing_computing", "GRANT"] {
            assert!(said.contains(word), "no {word} in {said}");
        }
    }
    one.work("works")
        .run_blocking(|| thread::sleep(Duration::from_millis(1_500)));
    assert_eq!(one.stats().degraded, 0);
    let creation = complaint.split_once("may run\n").unwrap().1;
    let creation = creation.split_once(";\n").unwrap().0;
    let grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON worksharing_computing TO visitor";
    admin
        .batch_execute(&format!("{creation}; {grant}"))
        .unwrap();
    let log = Log::default();
    with_default(log.subscriber(), || one.check().unwrap());
    assert_eq!(log.text(), "");
    while_computing(&one, "told", || {
        wait_until(LIMIT, "it is named", || named(&other, "told"));
    });
}

#[test]
fn database_of_another_encoding_names_keys_too() {
    let server = PostgresServer::start();
    let mut admin = server.connect();
    admin
        .batch_execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        .unwrap();
    let url = server.url();
    let (before, _) = url.rsplit_once('/').unwrap();
    let url = format!("{before}/latin");
    let build = || WorkSharing::builder().postgres(&url).build().unwrap();
    let (one, other) = (build(), build());
    while_computing(&one, "ключ", || {
        wait_until(LIMIT, "it is named", || {
            let computing = other.computing_blocking().unwrap();
            computing.iter().any(|it| it.function == "shop::price")
        });
    });
}
