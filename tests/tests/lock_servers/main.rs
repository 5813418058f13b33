//! Several lock servers: each key on one of them, one down is one share without a lock. Case 54.

use std::time::Duration;

use postgres::Client;
use tests::{PostgresServer, RedisServer, Setup};

mod changes;
mod lists;
mod outages;
mod shown;

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);
const PAGE: &str = include_str!("../../../worksharing/docs/operations.md");

/// Several servers for the locks, and a Redis.
struct LockServers {
    postgres: Vec<PostgresServer>,
    redis: RedisServer,
}

impl LockServers {
    fn start(count: usize) -> Self {
        Self {
            postgres: (0..count).map(|_| PostgresServer::start()).collect(),
            redis: RedisServer::start(),
        }
    }

    fn urls(&self) -> Vec<String> {
        self.postgres.iter().map(PostgresServer::url).collect()
    }

    fn setup(&self) -> Setup {
        Setup {
            redis: Some(self.redis.url()),
            lock_servers: self.urls(),
            log: Some("info".to_owned()),
            ..Setup::default()
        }
    }

    /// So many keys that this server has, as the page on operations tells to ask.
    fn keys(&self, server: usize, name: &str, count: usize) -> Vec<String> {
        let mut client = self.postgres[0].connect();
        let all = (0..).map(|number| format!("{name} {number}"));
        let own = all.filter(|key| among(&mut client, &self.postgres, key) == server);
        own.take(count).collect()
    }
}

/// Which of these servers has the key. The client is only asked to count.
fn among(client: &mut Client, servers: &[PostgresServer], key: &str) -> usize {
    let identity = |server: &PostgresServer| format!("127.0.0.1:{}/postgres", server.port());
    let identities: Vec<String> = servers.iter().map(identity).collect();
    let (_, section) = PAGE
        .split_once("\n## Several lock servers")
        .expect("the section");
    let (_, sql) = section.split_once("```sql\n").expect("the statement");
    let (sql, _) = sql.split_once(';').expect("its end");
    let sql = sql.replace("report:2024:DE", &key.replace('\'', "''"));
    let (before, rest) = sql.split_once("ARRAY[").expect("the list");
    let (_, after) = rest.split_once(']').expect("its end");
    let chosen = client.query_one(&format!("{before}$1::text[]{after}"), &[&identities]);
    let chosen: String = chosen
        .unwrap_or_else(|error| panic!("{error:?}: {sql}"))
        .get(0);
    identities
        .iter()
        .position(|one| *one == chosen)
        .expect("one of them")
}
