//! `check()` says what it met, or everything works. Case 59; numbers 29 and 38 of the issue on bounds.

use std::time::Duration;

use tests::{
    Callers, DeadHost, Mesh, PostgresServer, RedisKind, RedisServer, Run, Servers, Setup, Worker,
    ends_within, scenarios, wait_until, whole,
};
use worksharing::{PostgresLock, WorkSharing};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(20);

/// What `check()` complains about, with its causes.
#[track_caller]
fn complaint(sharing: &WorkSharing) -> String {
    let error = sharing.check().expect_err("check() says nothing");
    let complaint = whole(&error);
    eprintln!("check() says: {complaint}");
    complaint
}

#[track_caller]
fn names(complaint: &str, words: &[&str]) {
    let complaint = complaint.to_lowercase();
    assert!(
        words.iter().any(|word| complaint.contains(word)),
        "none of {words:?} in {complaint}"
    );
}

/// A runtime with this Redis, and a PostgreSQL beside it.
struct With {
    postgres: PostgresServer,
}

impl With {
    fn start() -> Self {
        let postgres = PostgresServer::start();
        Self { postgres }
    }

    fn redis(&self, url: String) -> WorkSharing {
        let builder = WorkSharing::builder().postgres(self.postgres.url());
        builder.redis(url).build().unwrap()
    }
}

fn redis_command(server: &RedisServer, words: &[&str]) {
    let mut command = redis::cmd(words[0]);
    let _: redis::Value = command
        .arg(&words[1..])
        .query(&mut server.connect())
        .unwrap();
}

// ---- Redis: 29.

#[test]
fn redis_that_is_a_replica_is_told_of() {
    let with = With::start();
    for kind in RedisKind::ALL {
        let primary = RedisServer::of(kind);
        let port = primary.port().to_string();
        let replica = RedisServer::start_as(kind, &["--replicaof", "127.0.0.1", &port]);
        names(
            &complaint(&with.redis(replica.url())),
            &["replica", "readonly"],
        );
    }
}

#[test]
fn redis_rights_that_are_missing_are_told_of() {
    let (with, server) = (With::start(), RedisServer::start());
    for (name, right) in [
        ("noset", "-set"),
        ("noget", "-getrange"),
        ("noeval", "-eval"),
        ("nolength", "-strlen"),
        ("notime", "-pttl"),
    ] {
        let words = ["ACL", "SETUSER", name, "on", "nopass", "~*", "+@all", right];
        redis_command(&server, &words);
        let url = format!("redis://{name}:any@127.0.0.1:{}", server.port());
        let complaint = complaint(&with.redis(url));
        names(&complaint, &[&right[1..]]);
        names(&complaint, &["noperm", "permission", "right", "may not"]);
    }
    let words = [
        "ACL", "SETUSER", "nokeys", "on", "nopass", "~other:*", "+@all",
    ];
    redis_command(&server, &words);
    let url = format!("redis://nokeys:any@127.0.0.1:{}", server.port());
    names(
        &complaint(&with.redis(url)),
        &["noperm", "permission", "right", "may not"],
    );
}

#[test]
fn redis_without_eval_is_told_of() {
    let with = With::start();
    for kind in RedisKind::ALL {
        let server = RedisServer::start_as(kind, &["--rename-command", "EVAL", ""]);
        names(&complaint(&with.redis(server.url())), &["eval"]);
    }
}

#[test]
fn redis_that_is_full_is_told_of() {
    let with = With::start();
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    redis_command(&server, &["CONFIG", "SET", "maxmemory", "1"]);
    names(
        &complaint(&with.redis(server.url())),
        &["memory", "oom", "full"],
    );
}

// It works as long as it is not: no reason not to start.
#[test]
fn redis_that_will_fill_up_is_warned_of() {
    RedisKind::ALL.into_iter().for_each(will_fill_up);
}

fn will_fill_up(kind: RedisKind) {
    let servers = Servers::with(kind);
    let warned = |url: String| {
        let setup = Setup {
            redis: Some(url),
            ..servers.setup()
        };
        let mut worker = Worker::start(WORKER, &setup);
        assert_eq!(worker.check(), None);
        worker.warnings()
    };
    let url = || servers.redis.url();
    assert_eq!(warned(url()), [""; 0], "it has no limit");
    redis_command(&servers.redis, &["CONFIG", "SET", "maxmemory", "100mb"]);
    let said = warned(url());
    assert_eq!(said.len(), 1, "{said:?}");
    names(&said[0], &["allkeys-lru"]);
    let words = [
        "ACL", "SETUSER", "discreet", "on", "nopass", "~*", "+@all", "-info",
    ];
    redis_command(&servers.redis, &words);
    let discreet = format!("redis://discreet:any@127.0.0.1:{}", servers.redis.port());
    assert_eq!(warned(discreet), [""; 0], "it is not told");
    let policy = ["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"];
    redis_command(&servers.redis, &policy);
    assert_eq!(warned(url()), [""; 0], "it evicts");
    let node = RedisServer::start_as(kind, &["--cluster-enabled", "yes", "--maxmemory", "100mb"]);
    redis_command(&node, &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    wait_until(LIMIT, "the cluster is whole", || {
        let info: String = node.ask(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok")
    });
    let said = warned(node.url().replace("redis://", "redis-cluster://"));
    assert_eq!(said.len(), 1, "{said:?}");
    names(&said[0], &["allkeys-lru"]);
}

#[test]
fn node_of_a_redis_cluster_is_told_of() {
    RedisKind::ALL.into_iter().for_each(node_is_told_of);
}

fn node_is_told_of(kind: RedisKind) {
    let with = With::start();
    let nodes: [_; 2] =
        [(); 2].map(|()| RedisServer::start_as(kind, &["--cluster-enabled", "yes"]));
    // Without any slot first, then with half of them.
    let without = complaint(&with.redis(nodes[0].url()));
    names(&without, &["cluster"]);
    let port = nodes[1].port().to_string();
    redis_command(&nodes[0], &["CLUSTER", "MEET", "127.0.0.1", &port]);
    redis_command(&nodes[0], &["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]);
    redis_command(&nodes[1], &["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]);
    for node in &nodes {
        wait_until(LIMIT, "the cluster is whole", || {
            let info: String = redis::cmd("CLUSTER")
                .arg("INFO")
                .query(&mut node.connect())
                .unwrap();
            info.contains("cluster_state:ok")
        });
    }
    for node in &nodes {
        names(&complaint(&with.redis(node.url())), &["cluster"]);
    }
}

// A check leaves nothing behind, and does not touch what is stored.
#[test]
fn check_leaves_nothing_in_redis() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    sharing.work("kept").run_blocking(|| 1);
    sharing.check().unwrap();
    let keys = |pattern: &str| -> Vec<String> {
        let mut connection = servers.redis.connect();
        redis::cmd("KEYS")
            .arg(pattern)
            .query(&mut connection)
            .unwrap()
    };
    assert_eq!(sharing.work("kept").peek_blocking(), Some(1));
    wait_until(LIMIT, "what check() stored is gone", || {
        keys("*").len() == 1
    });
}

// ---- PostgreSQL: 29 and 38.

#[test]
fn lease_table_that_cannot_be_made_is_told_of() {
    let servers = Servers::start();
    let mut admin = servers.postgres.connect();
    admin
        .batch_execute("CREATE ROLE visitor LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        .unwrap();
    let builder = servers
        .builder()
        .postgres(servers.postgres.url_for("visitor"));
    let sharing = builder.postgres_lock(PostgresLock::Lease).build().unwrap();
    names(
        &complaint(&sharing),
        &["worksharing_leases", "create", "permission"],
    );
}

#[test]
fn table_of_values_that_cannot_be_made_is_told_of() {
    let server = PostgresServer::start();
    let mut admin = server.connect();
    admin
        .batch_execute("CREATE ROLE visitor LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        .unwrap();
    let builder = WorkSharing::builder().postgres(server.url_for("visitor"));
    names(
        &complaint(&builder.build().unwrap()),
        &["create", "permission"],
    );
}

#[test]
fn role_without_a_search_path_works_or_is_advised() {
    let server = PostgresServer::start();
    let mut admin = server.connect();
    admin
        .batch_execute("CREATE ROLE pathless LOGIN; ALTER ROLE pathless SET search_path = ''")
        .unwrap();
    let builder = WorkSharing::builder().postgres(server.url_for("pathless"));
    let sharing = builder.build().unwrap();
    match sharing.check() {
        Ok(()) => {
            assert_eq!(sharing.work("found").run_blocking(|| 1), 1);
            assert_eq!(sharing.work("found").peek_blocking(), Some(1));
        }
        Err(error) => {
            let complaint = whole(&error);
            eprintln!("check() says: {complaint}");
            names(&complaint, &["search_path", "schema.name", ".table("]);
        }
    }
}

#[test]
fn dead_hosts_first_in_a_list_are_passed() {
    let servers = Servers::start();
    let dead = [(); 3].map(|()| DeadHost::new());
    let mut ports: Vec<_> = dead.iter().map(DeadHost::port).collect();
    ports.push(servers.postgres.port());
    let hosts: Vec<_> = ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    let url = format!("postgres://postgres@{}/postgres", hosts.join(","));
    let sharing = servers.builder().postgres(url).build().unwrap();
    ends_within(LIMIT, move || {
        sharing.check().unwrap();
        sharing.work("reached").run_blocking(|| 1);
        assert_eq!(sharing.stats().degraded, 0);
    });
}

#[test]
fn standby_first_in_a_list_does_not_hide_the_primary() {
    let (primary, redis) = (PostgresServer::start(), RedisServer::start());
    let standby = primary.standby();
    let hosts = [&standby, &primary].map(|server| format!("127.0.0.1:{}", server.port()));
    let url = format!("postgres://postgres@{}/postgres", hosts.join(","));
    let setup = Setup {
        redis: Some(redis.url()),
        ..Setup::on_postgres(url)
    };
    let mut worker = Worker::start(WORKER, &setup);
    if let Some(trouble) = worker.check() {
        eprintln!("check() says: {trouble}");
        names(&trouble, &["target_session_attrs"]);
        return;
    }
    drop(worker);
    let mut mesh = Mesh::start(2, WORKER, &setup);
    let run = Run::of("listed", Duration::from_millis(300)).callers(Callers::Mixed(4));
    scenarios::assert_computed_once(&mesh.run_all(&run), 8);
    assert!(primary.sessions() > 0);
}
