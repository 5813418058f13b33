//! What an operator sees of several lock servers: `check()`, `computing()`, connections, `drain`.

use std::time::Duration;

use tests::{Mesh, Run, Stop, wait_until, whole};
use worksharing::WorkSharing;

use crate::{LIMIT, LockServers, WORKER};

impl LockServers {
    fn sharing(&self) -> WorkSharing {
        let builder = WorkSharing::builder().redis(self.redis.url());
        builder.lock_servers(self.urls()).build().unwrap()
    }
}

#[test]
fn check_names_those_that_cannot_be_used() {
    let mut servers = LockServers::start(3);
    servers.sharing().check().unwrap();
    let port = |servers: &LockServers, at: usize| servers.postgres[at].port();
    // By the name that keys are spread by, and with its own trouble.
    let named = |servers: &LockServers, at: usize| {
        let port = port(servers, at);
        format!("127.0.0.1:{port}/postgres: postgres at 127.0.0.1:{port} cannot")
    };
    servers.postgres[1].stop(Stop::Fast);
    let trouble = whole(&servers.sharing().check().unwrap_err());
    eprintln!("check() says: {trouble}");
    assert!(trouble.contains("1 of 3 lock servers"), "{trouble}");
    assert!(trouble.contains(&named(&servers, 1)), "{trouble}");
    assert!(
        !trouble.contains(&port(&servers, 0).to_string()),
        "{trouble}"
    );
    servers.postgres[2].stop(Stop::Fast);
    let sharing = servers.sharing();
    let trouble = whole(&sharing.check().unwrap_err());
    assert!(trouble.contains("2 of 3 lock servers"), "{trouble}");
    assert!(trouble.contains(&named(&servers, 2)), "{trouble}");
    for at in [1, 2] {
        servers.postgres[at].start_again();
    }
    wait_until(LIMIT, "all can be used", || sharing.check().is_ok());
}

#[test]
fn computations_of_all_servers_are_named_and_of_those_that_are_up() {
    let mut servers = LockServers::start(2);
    let mut mesh = Mesh::start(3, WORKER, &servers.setup());
    let keys = [0, 1].map(|server| servers.keys(server, "named", 1).remove(0));
    for key in &keys {
        mesh.workers[0].run(&Run::of(key, Duration::from_secs(60)));
        mesh.wait_for_leader(key);
        mesh.workers[1].run(&Run::of(key, Duration::from_secs(60)));
    }
    let pid = mesh.workers[0].pid();
    let names = |mesh: &mut Mesh, key: &str| {
        let all = mesh.workers[2].computing();
        let found: Vec<_> = all.into_iter().filter(|it| it.key == key).collect();
        assert!(found.len() < 2, "named twice: {found:?}");
        found.iter().any(|it| (it.process, it.waiting) == (pid, 1))
    };
    wait_until(LIMIT, "both are named", || {
        names(&mut mesh, &keys[0]) && names(&mut mesh, &keys[1])
    });
    assert_eq!(mesh.workers[2].warnings().len(), 0);
    // Their own process knows who waits.
    let own = mesh.workers[0].computing();
    assert_eq!(own.iter().map(|it| it.waiting).collect::<Vec<_>>(), [1, 1]);
    servers.postgres[1].stop(Stop::Immediate);
    let said = |mesh: &Mesh| {
        let logged = mesh.workers[2].warnings();
        logged
            .iter()
            .filter(|line| line.contains("leaves out"))
            .count()
    };
    wait_until(
        LIMIT,
        "one is named, and it is said that one is left out",
        || names(&mut mesh, &keys[0]) && said(&mesh) == 1,
    );
    for _ in 0..5 {
        assert!(names(&mut mesh, &keys[0]));
    }
    assert_eq!(said(&mesh), 1);
}

#[test]
fn only_servers_whose_keys_are_asked_for_are_connected_to() {
    let mut servers = LockServers::start(2);
    let keys = [0, 1].map(|server| servers.keys(server, "first", 1).remove(0));
    let (first, second) = (servers.sharing(), servers.sharing());
    first.work(&keys[0]).run_blocking(|| 7);
    assert_eq!(servers.postgres[1].sessions(), 0);
    second.work(&keys[1]).run_blocking(|| 7);
    assert!(servers.postgres[1].sessions() > 0);
    // Nothing has to be done on the other.
    servers.postgres[1].stop(Stop::Fast);
    let begun = std::time::Instant::now();
    first.drain_blocking(LIMIT).unwrap();
    assert!(begun.elapsed() < LIMIT / 2, "{:?}", begun.elapsed());
    assert_eq!(first.stats().degraded, 0);
}
