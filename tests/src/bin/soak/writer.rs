use std::process;
use std::time::Duration;

use postgres::Client;
use tests::{Event, Moment, Scope, now_us};

/// Somebody who does not know worksharing, and invalidates in transactions.
pub(crate) struct Writer {
    client: Client,
    /// How long after a commit it counts.
    reaches_within: Duration,
    commits: usize,
}

impl Writer {
    /// One whose commits count at once where values are in PostgreSQL. Elsewhere a process lays what was committed, and
    /// another one, where that is killed.
    pub(crate) fn new(client: Client, in_postgres: bool) -> Self {
        Self {
            client,
            reaches_within: Duration::from_secs(if in_postgres { 0 } else { 4 }),
            commits: 0,
        }
    }

    /// Invalidates, and tells it as a worker does: as if it had returned when it counts.
    pub(crate) fn invalidate(&mut self, scope: Scope, name: &str) -> [Event; 2] {
        self.commits += 1;
        let (caller, key) = (self.commits, name.to_owned());
        let moment = |at_us| Moment {
            at_us,
            pid: process::id(),
            caller,
            key: key.clone(),
        };
        let asked = moment(now_us());
        let sql = match scope {
            Scope::Key => "SELECT worksharing_invalidate($1)",
            Scope::Tag => "SELECT worksharing_invalidate_tag($1)",
        };
        let trouble = self.client.execute(sql, &[&name]).err();
        let counts = now_us() + self.reaches_within.as_micros() as u64;
        let trouble = trouble.map(|error| error.to_string());
        [
            Event::Invalidating(asked, scope),
            Event::Invalidated(moment(counts), scope, trouble),
        ]
    }
}
