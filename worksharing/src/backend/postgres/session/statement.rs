use std::collections::HashSet;

use ::postgres::types::{ToSql, Type};
use ::postgres::{Client, Error, Row, SimpleQueryMessage};

use crate::backend::postgres::table::FOR_OURS;

/// How a statement is run that stands for itself, and ends soon.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    /// The session is ours alone, so that its settings hold.
    pub(super) own_session: bool,
}

pub(super) type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

impl Statement {
    pub(super) fn run(
        self,
        client: &mut Client,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        if self.own_session {
            return client.query_typed(sql, parameters);
        }
        in_transaction(client, FOR_OURS, sql, parameters)
    }

    /// One that is about a large value, and may take longer than what the session's settings allow.
    pub(super) fn run_patiently(
        self,
        client: &mut Client,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        let settings = format!("{FOR_OURS}; SET LOCAL statement_timeout = '25s'");
        in_transaction(client, &settings, sql, parameters)
    }

    /// One whose effect is to survive a crash of the server, as far as its settings for everybody let it.
    pub(super) fn run_durably(
        self,
        client: &mut Client,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        let settings = format!("{FOR_OURS}; SET LOCAL synchronous_commit = DEFAULT");
        in_transaction(client, &settings, sql, parameters)
    }
}

/// One that returns keys, in one round trip, where the session is not ours. What is sent together is one transaction.
pub(super) fn keys(client: &mut Client, sql: &str) -> Result<HashSet<i64>, Error> {
    let messages = client.simple_query(&format!("{FOR_OURS}; {sql}"))?;
    let key = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    };
    Ok(messages.iter().filter_map(key).collect())
}

/// With settings of its own: where the session is not ours, it has none.
fn in_transaction(
    client: &mut Client,
    settings: &str,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<Vec<Row>, Error> {
    client.batch_execute(&format!("BEGIN; {settings}"))?;
    let done = client.query_typed(sql, parameters);
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    client.batch_execute(end).and(done)
}
