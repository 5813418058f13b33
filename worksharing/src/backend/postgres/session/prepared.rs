use ::postgres::error::SqlState;
use ::postgres::types::{ToSql, Type};
use ::postgres::{Client, Error, Row, Statement};

/// A statement that a session plans once: for sessions that are ours alone. Behind a pooler in transaction
/// mode the next one to run might not know it.
pub(crate) struct Prepared {
    sql: String,
    types: Vec<Type>,
    state: State,
}

enum State {
    New,
    Ready(Statement),
    /// The server would not have it, or lost it: it is sent whole each time.
    Refused,
}

impl Prepared {
    pub(crate) fn new(sql: impl Into<String>, types: &[Type]) -> Self {
        Self {
            sql: sql.into(),
            types: types.to_vec(),
            state: State::New,
        }
    }

    /// Runs it, and prepares it before the first time.
    pub(crate) fn query(
        &mut self,
        client: &mut Client,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        if matches!(self.state, State::New) {
            self.state = match client.prepare_typed(&self.sql, &self.types) {
                Ok(statement) => State::Ready(statement),
                // Without its table it cannot be prepared yet.
                Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                    return Err(error);
                }
                Err(error) if error.as_db_error().is_some() => State::Refused,
                Err(error) => return Err(error),
            };
        }
        if let State::Ready(statement) = &self.state {
            match client.query(statement, parameters) {
                Err(error) if is_lost(&error) => self.state = State::Refused,
                done => return done,
            }
        }
        let typed: Vec<_> = parameters
            .iter()
            .copied()
            .zip(self.types.iter().cloned())
            .collect();
        client.query_typed(&self.sql, &typed)
    }
}

/// The session was reset, or what the plan rests on was changed. Nothing was run.
fn is_lost(error: &Error) -> bool {
    let lost = [
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::FEATURE_NOT_SUPPORTED,
    ];
    error.code().is_some_and(|code| lost.contains(code))
}
