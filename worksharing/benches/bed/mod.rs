//! What all benchmarks stand on: private servers, and something to share.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tests::{PostgresServer, RedisServer};
use worksharing::WorkSharing;

/// How long values live: longer than a round, but what a run leaves behind goes.
pub(crate) const TTL: Duration = Duration::from_secs(60);

/// What is shared: some 150 bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    title: String,
    region: Option<String>,
    rows: Vec<(u32, f64)>,
}

impl Report {
    /// "Computes" one. It costs nothing, so that what is measured is the sharing.
    pub(crate) fn compute() -> Self {
        Self {
            title: "Revenue by quarter".to_owned(),
            region: Some("DE".to_owned()),
            rows: (0..10).map(|row| (row, f64::from(row) * 1.5)).collect(),
        }
    }
}

/// Private servers, started for this run on free ports.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) postgres: PostgresServer,
    pub(crate) redis: RedisServer,
}

impl Bed {
    /// Starts them.
    pub(crate) fn start() -> Self {
        Self {
            postgres: PostgresServer::start(),
            redis: RedisServer::start(),
        }
    }

    /// A runtime over them, connected.
    pub(crate) fn sharing(&self) -> Result<WorkSharing, worksharing::Error> {
        let builder = WorkSharing::builder()
            .postgres(self.postgres.url())
            .redis(self.redis.url());
        let sharing = builder.build()?;
        sharing.check()?;
        Ok(sharing)
    }
}
