use ::postgres::types::{ToSql, Type};
use ::postgres::{Client, Error, Row};

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
        in_transaction(client, "statement_timeout = '2s'", sql, parameters)
    }

    /// One that is about a large value, and may take longer than what the session's settings allow.
    pub(super) fn run_patiently(
        self,
        client: &mut Client,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        in_transaction(client, "statement_timeout = '25s'", sql, parameters)
    }

    /// One whose effect is to survive a crash of the server, as far as its settings for everybody let it.
    pub(super) fn run_durably(
        self,
        client: &mut Client,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        let settings = "statement_timeout = '2s'; SET LOCAL synchronous_commit = DEFAULT";
        in_transaction(client, settings, sql, parameters)
    }
}

/// With settings of its own: where the session is not ours, it has none.
fn in_transaction(
    client: &mut Client,
    settings: &str,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<Vec<Row>, Error> {
    client.batch_execute(&format!(
        "BEGIN; SET LOCAL {settings}; SET LOCAL lock_timeout = '250ms'"
    ))?;
    let done = client.query_typed(sql, parameters);
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    client.batch_execute(end).and(done)
}
