use std::process;

use postgres::Client;
use tests::{Event, Moment, Scope, now_us};

/// Somebody who does not know worksharing, and invalidates in transactions.
pub(crate) struct Writer {
    client: Client,
    commits: usize,
}

impl Writer {
    pub(crate) fn new(client: Client) -> Self {
        let commits = 0;
        Self { client, commits }
    }

    /// Invalidates, and tells it as a worker does.
    pub(crate) fn invalidate(&mut self, scope: Scope, name: &str) -> [Event; 2] {
        self.commits += 1;
        let (caller, key) = (self.commits, name.to_owned());
        let now = || Moment {
            at_us: now_us(),
            pid: process::id(),
            caller,
            key: key.clone(),
        };
        let asked = now();
        let sql = match scope {
            Scope::Key => "SELECT worksharing_invalidate($1)",
            Scope::Tag => "SELECT worksharing_invalidate_tag($1)",
        };
        let trouble = self.client.execute(sql, &[&name]).err();
        let (committed, trouble) = (now(), trouble.map(|error| error.to_string()));
        [
            Event::Invalidating(asked, scope),
            Event::Invalidated(committed, scope, trouble),
        ]
    }
}
