use tempfile::TempDir;
use worksharing::{Builder, PostgresLock, WorkSharing};

use crate::{RedisKind, Servers};

/// Builds runtimes in this process; each is as good as another process.
pub type Build<'a> = &'a dyn Fn() -> WorkSharing;

/// Runs a test on every backend that processes can share.
pub fn on_each_backend(test: impl Fn(&str, Build<'_>)) {
    let directory = TempDir::new().expect("no temporary directory");
    test("directory", &|| {
        build(WorkSharing::builder().directory(directory.path()))
    });
    let servers = Servers::start();
    test("redis", &|| servers.sharing());
    let postgres = || {
        WorkSharing::builder()
            .postgres(servers.postgres.url())
            .table("values_too")
    };
    test("postgres", &|| build(postgres()));
    test("lease", &|| {
        build(
            postgres()
                .table("leases_too")
                .postgres_lock(PostgresLock::Lease),
        )
    });
}

/// The same, and with values in Valkey: what is about stores rather than about the flow.
pub fn on_each_store(test: impl Fn(&str, Build<'_>)) {
    on_each_backend(&test);
    let servers = Servers::with(RedisKind::Valkey);
    test("valkey", &|| servers.sharing());
}

fn build(builder: Builder) -> WorkSharing {
    builder.build().unwrap_or_else(|error| panic!("{error:?}"))
}

impl Servers {
    /// A runtime of this process on both servers.
    pub fn sharing(&self) -> WorkSharing {
        build(self.builder())
    }

    /// The settings of a runtime of this process on both servers.
    pub fn builder(&self) -> Builder {
        WorkSharing::builder()
            .postgres(self.postgres.url())
            .redis(self.redis.url())
    }
}
