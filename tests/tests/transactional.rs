//! Invalidation inside a user's transaction. Case 49.

use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, IsolationLevel};
use tests::{
    Callers, Mesh, PgBouncer, PoolMode, PostgresServer, Proxy, RedisServer, Run, Servers, Setup,
    Worker, ends_within, wait_until,
};
use worksharing::{Builder, WorkSharing};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(30);
/// From the commit to the last process.
const SEEN_WITHIN: Duration = Duration::from_millis(100);
const ROUNDS: usize = 10;
const NOTHING_DUE: &str = "\
SELECT NOT EXISTS (SELECT FROM worksharing_outbox) AND NOT EXISTS (SELECT FROM worksharing_outbox_due)";

fn on_postgres(server: &PostgresServer) -> Setup {
    Setup {
        transactional_invalidation: true,
        ..Setup::on_postgres(server.url())
    }
}

/// Values in Redis, values in PostgreSQL.
fn each_setup(test: impl Fn(&Servers, &Setup)) {
    let servers = Servers::start();
    test(&servers, &servers.transactional());
    let servers = Servers::start();
    test(&servers, &on_postgres(&servers.postgres));
}

/// Has it computed, if it is not stored.
fn fill(worker: &mut Worker, key: &str) {
    worker.run(&Run::of(key, Duration::ZERO));
    wait_until(LIMIT, "it is stored", || worker.peek(key).is_some());
}

fn invalidate(client: &mut Client, key: &str) {
    let sql = "SELECT worksharing_invalidate($1)";
    client.execute(sql, &[&key]).expect(sql);
}

fn is(client: &mut Client, sql: &str) -> bool {
    client.query_one(sql, &[]).expect(sql).get(0)
}

fn wait_until_nothing_is_due(servers: &PostgresServer) {
    let mut client = servers.connect();
    wait_until(LIMIT, "nothing is due", || is(&mut client, NOTHING_DUE));
}

/// Until no process has it. Returns how long that took.
fn wait_until_gone(mesh: &mut Mesh, key: &str) -> Duration {
    let begun = Instant::now();
    for worker in &mut mesh.workers {
        wait_until(LIMIT, "it is gone", || worker.peek(key).is_none());
    }
    begun.elapsed()
}

// ---- What a transaction does, and when it is seen.

#[test]
fn what_is_rolled_back_invalidates_nothing() {
    each_setup(|servers, setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        fill(&mut mesh.workers[0], "kept");
        fill(&mut mesh.workers[0], "gone");
        let mut client = servers.postgres.connect();
        let mut transaction = client.transaction().unwrap();
        transaction
            .execute("SELECT worksharing_invalidate('kept')", &[])
            .unwrap();
        transaction.rollback().unwrap();
        // Of what was committed later everybody has heard.
        invalidate(&mut client, "gone");
        wait_until_gone(&mut mesh, "gone");
        wait_until_nothing_is_due(&servers.postgres);
        for worker in &mut mesh.workers {
            assert!(worker.peek("kept").is_some());
        }
    });
}

#[test]
fn every_process_sees_a_commit_soon() {
    each_setup(|servers, setup| {
        let mut mesh = Mesh::start(4, WORKER, setup);
        let mut client = servers.postgres.connect();
        let mut times: Vec<_> = (0..ROUNDS)
            .map(|round| {
                let key = format!("soon {round}");
                fill(&mut mesh.workers[0], &key);
                invalidate(&mut client, &key);
                wait_until_gone(&mut mesh, &key)
            })
            .collect();
        times.sort();
        eprintln!("from a commit to the last of 4 processes: {times:?}");
        assert!(times[ROUNDS / 2] < SEEN_WITHIN, "{times:?}");
        wait_until_nothing_is_due(&servers.postgres);
        // And what is computed then is stored, and stays.
        fill(&mut mesh.workers[1], "soon 0");
        thread::sleep(SEEN_WITHIN);
        assert!(mesh.workers[2].peek("soon 0").is_some());
    });
}

/// Nobody but a look finds it, since nobody looks after the store.
#[test]
fn with_values_in_postgresql_the_first_look_after_a_commit_sees_it() {
    let server = PostgresServer::start();
    let mut mesh = Mesh::start(3, WORKER, &on_postgres(&server));
    fill(&mut mesh.workers[0], "begun");
    let mut client = server.connect();
    client
        .batch_execute(
            "UPDATE worksharing_outbox_stores SET claimed_by = 1, claimed_until = now() + interval '1 hour'",
        )
        .unwrap();
    for round in 0..ROUNDS {
        let key = format!("at once {round}");
        fill(&mut mesh.workers[0], &key);
        for worker in &mut mesh.workers {
            assert!(worker.peek(&key).is_some());
        }
        invalidate(&mut client, &key);
        for worker in mesh.workers.iter_mut().rev() {
            assert_eq!(worker.peek(&key), None);
        }
        // It has settled: one computation, and its value stays.
        fill(&mut mesh.workers[1], &key);
    }
    let timeline = mesh.timeline();
    assert_eq!(timeline.executions(), 1 + 2 * ROUNDS);
}

/// However many find it pending, it is laid once: or each tombstone would keep what was computed after the last one out.
#[test]
fn many_callers_after_a_commit_compute_once() {
    const CALLERS: usize = 100;
    let server = PostgresServer::start();
    let mut mesh = Mesh::start(3, WORKER, &on_postgres(&server));
    fill(&mut mesh.workers[0], "begun");
    let mut client = server.connect();
    for round in 0..ROUNDS {
        let key = format!("herd {round}");
        fill(&mut mesh.workers[0], &key);
        invalidate(&mut client, &key);
        let run = Run::of(&key, Duration::from_millis(20)).callers(Callers::Tasks(CALLERS));
        mesh.run(&run);
        let timeline = mesh.wait_for_answers(&key, 1 + 3 * CALLERS);
        assert_eq!(timeline.executions(), 2, "{key}");
    }
}

#[test]
fn a_computation_from_before_the_commit_is_not_given_to_later_callers() {
    each_setup(|servers, setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        fill(&mut mesh.workers[0], "begun");
        mesh.workers[0].run(&Run::of("old", Duration::from_millis(500)));
        mesh.wait_for_leader("old");
        let mut client = servers.postgres.connect();
        invalidate(&mut client, "old");
        wait_until_nothing_is_due(&servers.postgres);
        mesh.wait_for_bodies("old", 1);
        mesh.workers[0].wait(2);
        for worker in &mut mesh.workers {
            assert_eq!(worker.peek("old"), None);
        }
    });
}

// ---- Who does it.

/// The number of the process that looks after the only store.
fn claimed_by(client: &mut Client) -> i64 {
    let sql = "SELECT coalesce(max(claimed_by), 0) FROM worksharing_outbox_stores";
    client.query_one(sql, &[]).expect(sql).get(0)
}

#[test]
fn another_process_goes_on_for_one_that_was_killed() {
    each_setup(|servers, setup| {
        let mut first = Worker::start(WORKER, setup);
        fill(&mut first, "key");
        let mut client = servers.postgres.connect();
        wait_until(LIMIT, "somebody looks after the store", || {
            claimed_by(&mut client) != 0
        });
        let claimed = claimed_by(&mut client);
        let mut mesh = Mesh::start(2, WORKER, setup);
        for worker in &mut mesh.workers {
            assert!(worker.peek("key").is_some());
        }
        assert_eq!(claimed_by(&mut client), claimed);
        first.kill9();
        invalidate(&mut client, "key");
        let time = wait_until_gone(&mut mesh, "key");
        eprintln!("after the process that would have done it was killed: {time:?}");
        wait_until(LIMIT, "another looks after the store", || {
            claimed_by(&mut client) != claimed
        });
        wait_until_nothing_is_due(&servers.postgres);
    });
}

#[test]
fn a_process_that_ends_leaves_the_store_to_others() {
    let servers = Servers::start();
    let mut client = servers.postgres.connect();
    let build = || transactional(servers.builder());
    let (one, two) = (build(), build());
    one.work("key").run_blocking(|| 1);
    wait_until(LIMIT, "it looks after the store", || {
        claimed_by(&mut client) != 0
    });
    let claimed = claimed_by(&mut client);
    two.work("key").run_blocking(|| 2);
    drop(one);
    wait_until(LIMIT, "the other does", || {
        claimed_by(&mut client) != claimed
    });
}

#[test]
fn what_was_committed_while_no_process_ran_is_done_before_the_first_look() {
    each_setup(|servers, setup| {
        let mut workers = Worker::start_many(2, WORKER, setup);
        for round in 0..3 {
            let key = format!("nobody {round}");
            for worker in &mut workers {
                fill(worker, &key);
            }
            workers.iter_mut().for_each(Worker::kill9);
            invalidate(&mut servers.postgres.connect(), &key);
            workers = Worker::start_many(2, WORKER, setup);
            for worker in &mut workers {
                assert_eq!(worker.peek(&key), None, "{round}");
            }
        }
    });
}

#[test]
fn two_redis_behind_one_database_both_hear() {
    let servers = Servers::start();
    let other = RedisServer::start();
    let setups = [
        servers.transactional(),
        Setup {
            redis: Some(other.url()),
            ..servers.transactional()
        },
    ];
    let mut workers = setups.each_ref().map(|setup| Worker::start(WORKER, setup));
    let mut client = servers.postgres.connect();
    for round in 0..ROUNDS {
        let key = format!("both {round}");
        workers.iter_mut().for_each(|worker| fill(worker, &key));
        invalidate(&mut client, &key);
        for worker in &mut workers {
            wait_until(LIMIT, "it is gone", || worker.peek(&key).is_none());
        }
    }
    wait_until_nothing_is_due(&servers.postgres);
    // One of them sleeps meanwhile.
    workers.iter_mut().for_each(|worker| fill(worker, "later"));
    workers[1].kill9();
    invalidate(&mut client, "later");
    wait_until(LIMIT, "it is gone", || workers[0].peek("later").is_none());
    workers[1] = Worker::start(WORKER, &setups[1]);
    assert_eq!(workers[1].peek("later"), None);
    wait_until_nothing_is_due(&servers.postgres);
}

#[test]
fn an_emptied_redis_is_another_store() {
    let mut servers = Servers::start();
    let mut worker = Worker::start(WORKER, &servers.transactional());
    fill(&mut worker, "key");
    let mut client = servers.postgres.connect();
    let mut stores = || -> Vec<String> {
        let sql = "SELECT store FROM worksharing_outbox_stores";
        let rows = client.query(sql, &[]).expect(sql);
        rows.iter().map(|row| row.get(0)).collect()
    };
    let before = stores();
    servers.redis.restart();
    fill(&mut worker, "key");
    // Rows are not kept for the one that is no more.
    wait_until(LIMIT, "there is another, and only that", || {
        let now = stores();
        now.len() == 1 && now != before
    });
    let mut client = servers.postgres.connect();
    invalidate(&mut client, "key");
    wait_until(LIMIT, "it is gone", || worker.peek("key").is_none());
    wait_until_nothing_is_due(&servers.postgres);
}

// ---- The user's transaction is never the loser.

#[test]
fn a_transaction_of_any_isolation_commits() {
    each_setup(|servers, setup| {
        let mut worker = Worker::start(WORKER, setup);
        let mut client = servers.postgres.connect();
        for (round, level) in [
            IsolationLevel::ReadCommitted,
            IsolationLevel::RepeatableRead,
            IsolationLevel::Serializable,
        ]
        .into_iter()
        .enumerate()
        {
            let key = format!("isolated {round}");
            fill(&mut worker, &key);
            let begun = client.build_transaction().isolation_level(level);
            let mut transaction = begun.start().unwrap();
            transaction
                .execute("SELECT count(*) FROM pg_class", &[])
                .unwrap();
            // The same key, laid meanwhile, and computed anew.
            invalidate(&mut servers.postgres.connect(), &key);
            wait_until(LIMIT, "it is gone", || worker.peek(&key).is_none());
            fill(&mut worker, &key);
            transaction
                .execute("SELECT worksharing_invalidate($1)", &[&key])
                .unwrap();
            assert!(worker.peek(&key).is_some(), "it is not committed");
            transaction.commit().unwrap();
            wait_until(LIMIT, "it is gone", || worker.peek(&key).is_none());
        }
    });
}

#[test]
fn a_prepared_transaction_invalidates_when_it_is_committed() {
    let servers = Servers {
        postgres: PostgresServer::start_with(&[("max_prepared_transactions", "5")]),
        redis: RedisServer::start(),
    };
    for setup in [servers.transactional(), on_postgres(&servers.postgres)] {
        let mut worker = Worker::start(WORKER, &setup);
        fill(&mut worker, "prepared");
        let mut client = servers.postgres.connect();
        client
            .batch_execute(
                "BEGIN; SELECT worksharing_invalidate('prepared'); PREPARE TRANSACTION 'one'",
            )
            .unwrap();
        fill(&mut worker, "marker");
        invalidate(&mut client, "marker");
        wait_until(LIMIT, "it is gone", || worker.peek("marker").is_none());
        assert!(worker.peek("prepared").is_some());
        client.batch_execute("COMMIT PREPARED 'one'").unwrap();
        wait_until(LIMIT, "it is gone", || worker.peek("prepared").is_none());
    }
}

#[test]
fn transactions_in_opposite_order_do_not_wait_for_each_other() {
    each_setup(|servers, setup| {
        let mut mesh = Mesh::start(2, WORKER, setup);
        for key in ["a", "b"] {
            fill(&mut mesh.workers[0], key);
        }
        let (mut one, mut two) = (servers.postgres.connect(), servers.postgres.connect());
        ends_within(LIMIT, move || {
            for _ in 0..100 {
                let mut one = one.transaction().unwrap();
                let mut two = two.transaction().unwrap();
                let sql = "SELECT worksharing_invalidate($1)";
                for (first, second) in [("a", "b"), ("b", "a")] {
                    one.execute(sql, &[&first]).unwrap();
                    two.execute(sql, &[&second]).unwrap();
                }
                one.commit().unwrap();
                two.commit().unwrap();
            }
        });
        wait_until_gone(&mut mesh, "a");
        wait_until_gone(&mut mesh, "b");
    });
}

// ---- From where it is called.

#[test]
fn a_trigger_invalidates() {
    each_setup(|servers, setup| {
        let mut worker = Worker::start(WORKER, setup);
        fill(&mut worker, "user:7");
        fill(&mut worker, "user:8");
        let mut client = servers.postgres.connect();
        client
            .batch_execute(
                "CREATE TABLE users (id int PRIMARY KEY, name text);
                 INSERT INTO users VALUES (7, 'Ann'), (8, 'Bob');
                 CREATE FUNCTION users_changed() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN
                   PERFORM worksharing_invalidate('user:' || OLD.id);
                   RETURN NULL;
                 END $$;
                 CREATE TRIGGER changed AFTER UPDATE OR DELETE ON users
                   FOR EACH ROW EXECUTE FUNCTION users_changed();
                 UPDATE users SET name = 'Anne' WHERE id = 7",
            )
            .unwrap();
        wait_until(LIMIT, "it is gone", || worker.peek("user:7").is_none());
        wait_until_nothing_is_due(&servers.postgres);
        assert!(worker.peek("user:8").is_some());
    });
}

#[test]
fn psql_invalidates() {
    each_setup(|servers, setup| {
        let mut worker = Worker::start(WORKER, setup);
        let key = "it's a \\ key";
        fill(&mut worker, key);
        let sharing = WorkSharing::builder().build().unwrap();
        let sql = sharing.work::<()>(key).invalidation_sql();
        servers.postgres.psql(&format!("BEGIN; {sql}; COMMIT"));
        wait_until(LIMIT, "it is gone", || worker.peek(key).is_none());
    });
}

#[test]
fn a_transaction_of_sqlx_invalidates() {
    use sqlx::{Connection as _, Executor as _, PgConnection};

    let servers = Servers::start();
    let mut worker = Worker::start(WORKER, &servers.transactional());
    fill(&mut worker, "sqlx");
    let sql = servers.sharing().work::<()>("sqlx").invalidation_sql();
    let committed = async {
        let mut connection = PgConnection::connect(&servers.postgres.url()).await?;
        let mut transaction = connection.begin().await?;
        transaction.execute("CREATE TABLE orders ()").await?;
        transaction.execute(&*sql).await?;
        transaction.commit().await
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(committed).unwrap();
    wait_until(LIMIT, "it is gone", || worker.peek("sqlx").is_none());
}

// Lease rows, and transactions that go through the pooler, too.
#[test]
fn it_works_through_a_transaction_pooler() {
    each_setup(|servers, setup| {
        let bouncer = PgBouncer::start(&servers.postgres, PoolMode::Transaction);
        let setup = Setup {
            postgres: Some(bouncer.url()),
            lock: Some("lease".to_owned()),
            ..setup.clone()
        };
        let mut mesh = Mesh::start(2, WORKER, &setup);
        let mut client = Client::connect(&bouncer.url(), postgres::NoTls).unwrap();
        for round in 0..3 {
            let key = format!("pooled {round}");
            fill(&mut mesh.workers[0], &key);
            client
                .batch_execute(&format!(
                    "BEGIN; SELECT worksharing_invalidate('{key}'); COMMIT"
                ))
                .unwrap();
            wait_until_gone(&mut mesh, &key);
        }
        wait_until_nothing_is_due(&servers.postgres);
    });
}

// ---- What stands in its way.

#[test]
fn a_role_that_may_not_create_is_told_what_to_run() {
    let servers = Servers::start();
    let mut admin = servers.postgres.connect();
    admin
        .batch_execute("CREATE ROLE app LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        .unwrap();
    let setup = Setup {
        postgres: Some(servers.postgres.url_for("app")),
        ..servers.transactional()
    };
    let mut worker = Worker::start(WORKER, &setup);
    let trouble = worker.check().expect("check() says nothing");
    eprintln!("check() says: {trouble}");
    let sharing = servers.sharing();
    let sql = sharing.outbox_sql();
    assert!(trouble.contains(sql.trim_end()), "{trouble}");
    let grant = trouble.lines().last().expect("a line");
    assert!(
        grant.starts_with("GRANT") && grant.contains("\"app\""),
        "{grant}"
    );
    // It is used all the same, and without waiting.
    fill(&mut worker, "key");
    // Made, but not granted.
    admin.batch_execute(&sql).unwrap();
    let trouble = worker.check().expect("check() says nothing");
    assert!(trouble.contains(grant), "{trouble}");
    admin.batch_execute(grant).unwrap();
    assert_eq!(worker.check(), None);
    // Whoever may call it need not be allowed anything else.
    admin.batch_execute("CREATE ROLE writer LOGIN").unwrap();
    let url = servers.postgres.url_for("writer");
    let mut writer = Client::connect(&url, postgres::NoTls).unwrap();
    invalidate(&mut writer, "key");
    assert!(
        writer
            .execute("DELETE FROM worksharing_outbox", &[])
            .is_err()
    );
    wait_until(LIMIT, "it is gone", || worker.peek("key").is_none());
    // Run again, it changes nothing.
    admin.batch_execute(&sql).unwrap();
    assert_eq!(worker.check(), None);
}

#[test]
fn strange_rows_do_not_stop_others() {
    each_setup(|servers, setup| {
        let mut worker = Worker::start(WORKER, setup);
        fill(&mut worker, "begun");
        let mut client = servers.postgres.connect();
        for round in 0..3 {
            fill(&mut worker, "key");
            client
                .batch_execute(
                    "SELECT worksharing_invalidate(''), worksharing_invalidate(NULL),
                            worksharing_invalidate(repeat('x', 30000000)), worksharing_invalidate_tag(''),
                            worksharing_invalidate(repeat('x', 65536) || 1), worksharing_invalidate(E'\\n\\x01tag:a');
                     INSERT INTO worksharing_outbox (kind, text) VALUES (77, 'key'), (-1, ''), (0, 'key');
                     SELECT worksharing_invalidate('strange ' || n) FROM generate_series(1, 2000) AS n",
                )
                .unwrap();
            invalidate(&mut client, "key");
            wait_until(LIMIT, "it is gone", || worker.peek("key").is_none());
            wait_until_nothing_is_due(&servers.postgres);
            assert!(worker.peek("begun").is_some(), "{round}");
        }
        let said = worker.warnings();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("left out"), "{said:?}");
    });
}

#[test]
fn what_the_store_refuses_is_laid_when_it_does_not() {
    let servers = Servers::start();
    let proxy = Proxy::to(servers.redis.port());
    let cut_off = Setup {
        redis: Some(proxy.redis_url()),
        ..servers.transactional()
    };
    let mut near = Worker::start(WORKER, &servers.transactional());
    let mut far = Worker::start(WORKER, &cut_off);
    for worker in [&mut near, &mut far] {
        fill(worker, "key");
    }
    proxy.refuse();
    proxy.cut();
    assert_eq!(far.invalidate("key"), None);
    wait_until(LIMIT, "it is gone", || near.peek("key").is_none());
    wait_until_nothing_is_due(&servers.postgres);
}

#[test]
fn an_outbox_that_cannot_be_looked_at_holds_nobody_up_for_long() {
    let servers = Servers::start();
    let mut worker = Worker::start(WORKER, &servers.transactional());
    fill(&mut worker, "key");
    drop(worker);
    let mut client = servers.postgres.connect();
    let mut lock = client.transaction().unwrap();
    lock.batch_execute("LOCK TABLE worksharing_outbox_due")
        .unwrap();
    let mut worker = Worker::start(WORKER, &servers.transactional());
    let begun = Instant::now();
    assert!(worker.peek("key").is_some());
    let (first, begun) = (begun.elapsed(), Instant::now());
    assert!(worker.peek("key").is_some());
    let second = begun.elapsed();
    eprintln!("the first look took {first:?}, the second {second:?}");
    assert!((900..3_000).contains(&first.as_millis()), "{first:?}");
    assert!(second < Duration::from_millis(500), "{second:?}");
    let said = worker.warnings();
    assert!(
        said.iter()
            .any(|line| line.contains("a second after the start")),
        "{said:?}"
    );
    lock.rollback().unwrap();
    invalidate(&mut servers.postgres.connect(), "key");
    wait_until(LIMIT, "it is gone", || worker.peek("key").is_none());
}

#[test]
fn a_store_that_was_forgotten_is_said() {
    let servers = Servers::start();
    let setup = servers.transactional();
    let mut worker = Worker::start(WORKER, &setup);
    fill(&mut worker, "key");
    drop(worker);
    let forget = "DELETE FROM worksharing_outbox_stores";
    servers.postgres.connect().batch_execute(forget).unwrap();
    let mut worker = Worker::start(WORKER, &setup);
    fill(&mut worker, "key");
    let said = worker.warnings();
    assert!(
        said.iter().any(|line| line.contains("three days")),
        "{said:?}"
    );
}

// ---- Namespaces, tags, tables, settling.

fn transactional(builder: Builder) -> WorkSharing {
    let builder = builder.transactional_invalidation(true);
    builder.build().unwrap_or_else(|error| panic!("{error:?}"))
}

fn each_builder(test: impl Fn(&Servers, &dyn Fn() -> Builder)) {
    let servers = Servers::start();
    test(&servers, &|| servers.builder());
    let servers = Servers::start();
    test(&servers, &|| {
        WorkSharing::builder().postgres(servers.postgres.url())
    });
}

fn wait_until_missed(sharing: &WorkSharing, key: &str) {
    wait_until(LIMIT, "it is gone", || {
        sharing.work::<u32>(key).peek_blocking().is_none()
    });
}

#[test]
fn every_namespace_on_the_table_hears() {
    each_builder(|servers, builder| {
        let with = |namespace| transactional(builder().namespace(namespace));
        let all = [with("shop"), with("blog"), with("")];
        let mut client = servers.postgres.connect();
        for round in 0..3 {
            for sharing in &all {
                sharing.work("key").run_blocking(|| round);
            }
            client
                .batch_execute(&all[0].work::<u32>("key").invalidation_sql())
                .unwrap();
            all.iter()
                .for_each(|sharing| wait_until_missed(sharing, "key"));
        }
        wait_until_nothing_is_due(&servers.postgres);
    });
}

#[test]
fn applications_with_tables_of_their_own_keep_apart() {
    let servers = Servers::start();
    let mut client = servers.postgres.connect();
    client.batch_execute("CREATE SCHEMA \"My cache\"").unwrap();
    let of = |table| {
        let sharing = transactional(servers.builder().table(table).prefix(table));
        sharing.check().unwrap_or_else(|error| panic!("{error:?}"));
        sharing.work("key").run_blocking(|| 1_u32);
        sharing
    };
    let [one, two] = ["My cache.It's \"one\"", "two"].map(of);
    let sql = one.work::<u32>("key").invalidation_sql();
    client.batch_execute(&sql).unwrap();
    wait_until_missed(&one, "key");
    client
        .batch_execute(&two.work::<u32>("other").invalidation_sql())
        .unwrap();
    wait_until(LIMIT, "nothing is due", || {
        is(&mut client, "SELECT NOT EXISTS (SELECT FROM two_outbox)")
    });
    assert_eq!(two.work("key").peek_blocking(), Some(1_u32));
}

#[test]
fn a_tag_is_invalidated() {
    each_builder(|servers, builder| {
        let [one, two] = [(), ()].map(|()| transactional(builder().namespace("shop")));
        let work = |sharing: &WorkSharing, key: &str, tag: &str| {
            sharing.work::<u32>(key).tag(tag).tag("all")
        };
        let mut client = servers.postgres.connect();
        for round in 0..3 {
            for key in ["a", "b"] {
                work(&one, key, key).run_blocking(|| round);
                assert!(work(&two, key, key).peek_blocking().is_some());
            }
            client
                .batch_execute(&one.tag_invalidation_sql("a"))
                .unwrap();
            for sharing in [&one, &two] {
                wait_until(LIMIT, "it is gone", || {
                    work(sharing, "a", "a").peek_blocking().is_none()
                });
                assert!(work(sharing, "b", "b").peek_blocking().is_some());
            }
            // A key of the same text is something else.
            client
                .batch_execute(&one.work::<u32>("all").invalidation_sql())
                .unwrap();
            wait_until_nothing_is_due(&servers.postgres);
            assert!(work(&two, "b", "b").peek_blocking().is_some());
            client
                .batch_execute(&one.tag_invalidation_sql("all"))
                .unwrap();
            wait_until(LIMIT, "it is gone", || {
                work(&two, "b", "b").peek_blocking().is_none()
            });
            let anew = work(&two, "a", "a").run_blocking(|| 100 + round);
            assert_eq!(anew, 100 + round);
            assert_eq!(work(&one, "a", "a").peek_blocking(), Some(anew));
            client
                .batch_execute(&one.tag_invalidation_sql("all"))
                .unwrap();
            wait_until(LIMIT, "it is gone", || {
                work(&one, "a", "a").peek_blocking().is_none()
            });
        }
    });
}

#[test]
fn nobody_serves_what_a_tag_invalidated_before_its_look() {
    let server = PostgresServer::start();
    let sharing = transactional(WorkSharing::builder().postgres(server.url()));
    let work = || sharing.work::<u32>("key").tag("tag");
    let mut client = server.connect();
    for round in 0..50 {
        assert_eq!(work().run_blocking(|| round), round);
        assert_eq!(work().peek_blocking(), Some(round));
        client
            .batch_execute(&sharing.tag_invalidation_sql("tag"))
            .unwrap();
        assert_eq!(work().peek_blocking(), None, "{round}");
    }
}

#[test]
fn what_is_kept_in_processes_goes_too() {
    each_builder(|servers, builder| {
        let all = [(), (), ()].map(|()| transactional(builder()));
        let work = |sharing: &WorkSharing| {
            let work = sharing.work::<u32>("key").tag("tag");
            work.local(Duration::from_secs(60))
                .ttl(Duration::from_secs(600))
        };
        let mut client = servers.postgres.connect();
        for round in 0..4 {
            for sharing in &all {
                assert_eq!(work(sharing).run_blocking(|| round), round);
            }
            let sql = match round % 2 {
                0 => work(&all[0]).invalidation_sql(),
                _ => all[0].tag_invalidation_sql("tag"),
            };
            client.batch_execute(&sql).unwrap();
            let begun = Instant::now();
            for sharing in &all {
                wait_until(LIMIT, "it is gone", || {
                    work(sharing).run_blocking(|| round + 1) == round + 1
                });
            }
            eprintln!("in all processes after {:?}", begun.elapsed());
            assert!(begun.elapsed() < Duration::from_secs(5));
        }
    });
}

#[test]
fn an_invalidation_settles_before_anything_is_stored() {
    each_builder(|servers, builder| {
        let settle = Duration::from_secs(2);
        let sharing = transactional(builder().settle(settle));
        sharing.work("key").run_blocking(|| 0_u32);
        let mut client = servers.postgres.connect();
        let begun = Instant::now();
        client
            .batch_execute(&sharing.work::<u32>("key").invalidation_sql())
            .unwrap();
        wait_until_missed(&sharing, "key");
        // Of a lagging replica, say.
        assert_eq!(sharing.work("key").run_blocking(|| 1_u32), 1);
        let stored = sharing.work::<u32>("key").peek_blocking();
        assert!(stored.is_none() || begun.elapsed() >= settle);
        wait_until(LIMIT, "it has settled", || {
            sharing.work("key").run_blocking(|| 2_u32);
            sharing.work::<u32>("key").peek_blocking().is_some()
        });
        assert!(begun.elapsed() >= settle, "{:?}", begun.elapsed());
    });
}
