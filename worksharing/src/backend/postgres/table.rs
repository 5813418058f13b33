use ::postgres::error::SqlState;
use ::postgres::{Client, Error as PostgresError};

use crate::{Error, ErrorKind};

/// The tables of values, of leases and of what is computed, quoted for use in SQL.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) values: String,
    pub(crate) leases: String,
    pub(crate) computing: String,
}

impl Table {
    pub(crate) fn parse(name: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = name.split('.').collect();
        let fits = |part: &&str| {
            !part.is_empty() && part.len() <= 56 && !part.chars().any(char::is_control)
        };
        if parts.len() > 2 || !parts.iter().all(fits) {
            return Err(Error::setting(format!(
                "the table name {name:?} cannot be: write a name of up to 56 bytes, or schema.name, for example \
                 `.table(\"worksharing\")`"
            )));
        }
        let quoted = |suffix: &str| {
            let last = parts.len() - 1;
            let quote = |(i, part): (usize, &&str)| {
                let suffix = if i == last { suffix } else { "" };
                format!("\"{}{suffix}\"", part.replace('"', "\"\""))
            };
            let parts: Vec<_> = parts.iter().enumerate().map(quote).collect();
            parts.join(".")
        };
        Ok(Self {
            values: quoted(""),
            leases: quoted("_leases"),
            computing: quoted("_computing"),
        })
    }

    /// The SQL that makes the table of values, for whoever may.
    pub(crate) fn creation_of_values(&self) -> String {
        format!(
            "CREATE UNLOGGED TABLE IF NOT EXISTS {} (
               key text PRIMARY KEY, value bytea NOT NULL, expires timestamptz NOT NULL
             ) WITH (fillfactor = 70)",
            self.values,
        )
    }

    /// The SQL that makes the table of leases, for whoever may.
    pub(crate) fn creation_of_leases(&self) -> String {
        format!(
            "CREATE UNLOGGED TABLE IF NOT EXISTS {} (
               k bigint PRIMARY KEY, token bigint NOT NULL, lease_until timestamptz NOT NULL
             ) WITH (fillfactor = 50)",
            self.leases,
        )
    }

    /// The SQL that makes the table of what is computed, for whoever may.
    pub(crate) fn creation_of_computing(&self) -> String {
        format!(
            "CREATE UNLOGGED TABLE IF NOT EXISTS {} (
               k bigint PRIMARY KEY, id bigint NOT NULL, holder bigint NOT NULL, since timestamptz NOT NULL,
               process bigint NOT NULL, host text NOT NULL, function text NOT NULL, key text NOT NULL
             ) WITH (fillfactor = 50)",
            self.computing,
        )
    }
}

/// What holds for a transaction of ours where the session is not: the same as for a session, of which it says why.
pub(crate) const FOR_OURS: &str = "\
SET LOCAL transaction_read_only = off; SET LOCAL lock_timeout = '250ms'; SET LOCAL statement_timeout = '2s'";

/// Runs a `CREATE TABLE IF NOT EXISTS`, which fails if another session runs the same at the same time.
pub(crate) fn create(client: &mut Client, sql: &str) -> Result<(), PostgresError> {
    const RACES: [SqlState; 3] = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
    ];
    match client.batch_execute(&format!("{FOR_OURS}; {sql}")) {
        Err(error) if !error.code().is_some_and(|code| RACES.contains(code)) => Err(error),
        _ => Ok(()),
    }
}

/// What is wrong with a server when a table is used, and what is to be done about it.
pub(crate) fn advice(error: &PostgresError, creation: &str) -> Option<(ErrorKind, String)> {
    use ErrorKind::{Unavailable, Unsuitable};

    let code = error.code()?;
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        let advice = format!(
            "does not let this role make or use its table (permission denied): have somebody who may run\n\
             {creation};\nand GRANT SELECT, INSERT, UPDATE, DELETE on it, or set another table with `.table(…)`"
        );
        return Some((Unsuitable, advice));
    }
    let (kind, advice) = if *code == SqlState::INVALID_SCHEMA_NAME {
        (
            Unsuitable,
            "has no schema for the table: the search_path of this role or database names none that is there; \
             name one with `.table(\"schema.name\")`, or set the search_path",
        )
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        (
            Unsuitable,
            "lets this role write nothing: it is a standby, or default_transaction_read_only is on for the role \
             or database",
        )
    } else if *code == SqlState::LOCK_NOT_AVAILABLE {
        (
            Unavailable,
            "has a table of ours that somebody else has locked (LOCK, ALTER, TRUNCATE, VACUUM FULL): pg_locks \
             tells who; it is used again as soon as that ends",
        )
    } else {
        return None;
    };
    Some((kind, advice.to_owned()))
}
