use std::collections::HashMap;
use std::time::Duration;

use ::postgres::error::SqlState;
use ::postgres::types::{ToSql, Type};
use ::postgres::{Client, Error};
use bytes::Bytes;

use super::server::Table;
use crate::store::{Fence, Seen};

/// The unlogged table of values.
#[derive(Debug)]
pub(crate) struct Values {
    table: String,
    /// Whether the session is ours alone, so that its settings may be changed.
    own_session: bool,
    /// Values stored since rows were last swept, and where the sweep goes on.
    unswept: usize,
    cursor: String,
}

/// What is to be stored under a key, and over what: `None` is over anything.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    pub(crate) key: String,
    pub(crate) entry: Bytes,
    pub(crate) ttl: Duration,
    pub(crate) fence: Option<Fence>,
}

/// An entry larger than this goes with a statement timeout of its own.
const LARGE: usize = 1 << 20;
/// How many rows a sweep looks at.
const SWEEP: i64 = 500;

impl Values {
    /// What reading or writing the largest values may take.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

    pub(crate) fn new(table: &Table, own_session: bool) -> Self {
        Self {
            table: table.values.clone(),
            own_session,
            unswept: 0,
            cursor: String::new(),
        }
    }

    /// The SQL that makes the table, for whoever may.
    pub(crate) fn creation(&self) -> String {
        format!(
            "CREATE UNLOGGED TABLE IF NOT EXISTS {table} (
               key text PRIMARY KEY, value bytea NOT NULL, expires timestamptz NOT NULL
             ) WITH (fillfactor = 70)",
            table = self.table,
        )
    }

    /// Makes sure that the table is there, and can be used.
    pub(crate) fn check(&mut self, client: &mut Client) -> Result<(), Error> {
        let sql = format!("SELECT key, value, expires FROM {} LIMIT 0", self.table);
        self.with_table(client, |client| client.query_typed(&sql, &[]).map(drop))
    }

    /// The entries that stand under these keys and have not expired.
    pub(crate) fn get(
        &mut self,
        client: &mut Client,
        keys: &[&str],
    ) -> Result<HashMap<String, Bytes>, Error> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let sql = format!(
            "SELECT key, value FROM {} WHERE key = ANY($1) AND expires > clock_timestamp()",
            self.table,
        );
        let rows = self.with_table(client, |client| {
            client.query_typed(&sql, &[(&keys, Type::TEXT_ARRAY)])
        })?;
        Ok(rows
            .iter()
            .map(|row| (row.get(0), Bytes::from(row.get::<_, Vec<u8>>(1))))
            .collect())
    }

    /// Stores entries, none of them under the same key, and returns the keys of those that were stored.
    pub(crate) fn put(&mut self, client: &mut Client, puts: &[&Put]) -> Result<Vec<String>, Error> {
        let keys: Vec<&str> = puts.iter().map(|put| put.key.as_str()).collect();
        let entries: Vec<&[u8]> = puts.iter().map(|put| &*put.entry).collect();
        let seconds: Vec<f64> = puts.iter().map(|put| put.ttl.as_secs_f64()).collect();
        let seen: Vec<&[u8]> = puts
            .iter()
            .filter_map(|put| Some(put.fence.as_ref()?.as_bytes()))
            .collect();
        let anyhow: Vec<&str> = puts
            .iter()
            .filter(|put| put.fence.is_none())
            .map(|put| &*put.key)
            .collect();
        // What the leaders of this batch saw are random ids: it does not matter whose was whose.
        let sql = format!(
            "INSERT INTO {table} AS t (key, value, expires)
             SELECT key, value, clock_timestamp() + make_interval(secs => seconds)
               FROM unnest($1::text[], $2::bytea[], $3::float8[]) AS n(key, value, seconds)
              ORDER BY key
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires
              WHERE t.expires <= clock_timestamp() OR substring(t.value FROM 1 FOR {LEN}) = ANY($4)
                 OR t.key = ANY($5) OR t.value = excluded.value
             RETURNING key",
            table = self.table,
            LEN = Seen::LEN,
        );
        let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
            (&keys, Type::TEXT_ARRAY),
            (&entries, Type::BYTEA_ARRAY),
            (&seconds, Type::FLOAT8_ARRAY),
            (&seen, Type::BYTEA_ARRAY),
            (&anyhow, Type::TEXT_ARRAY),
        ];
        let is_large = self.own_session && entries.iter().any(|entry| entry.len() > LARGE);
        if is_large {
            client.batch_execute("SET statement_timeout = '25s'")?;
        }
        let stored = self.with_table(client, |client| client.query_typed(&sql, &parameters));
        if is_large {
            client.batch_execute("SET statement_timeout = '2s'")?;
        }
        self.unswept += puts.len();
        Ok(stored?.iter().map(|row| row.get(0)).collect())
    }

    /// Removes expired rows in one small range of the primary key, if there is something to be removed.
    pub(crate) fn sweep(&mut self, client: &mut Client) -> Result<(), Error> {
        if self.unswept == 0 {
            return Ok(());
        }
        let sql = format!(
            "WITH range AS MATERIALIZED (SELECT key FROM {table} WHERE key > $1 ORDER BY key LIMIT {SWEEP}),
                  swept AS (DELETE FROM {table} t USING range
                             WHERE t.key = range.key AND t.expires <= clock_timestamp())
             SELECT max(key), count(*) FROM range",
            table = self.table,
        );
        let row = client.query_typed_one(&sql, &[(&self.cursor, Type::TEXT)])?;
        self.cursor = row.get::<_, Option<String>>(0).unwrap_or_default();
        if row.get::<_, i64>(1) < SWEEP {
            // Once around the table: from now on only what is stored from now on can be due.
            self.cursor.clear();
            self.unswept = self.unswept.saturating_sub(SWEEP as usize);
        }
        Ok(())
    }

    /// Runs a statement, and makes the table if it turns out to be missing.
    fn with_table<T>(
        &self,
        client: &mut Client,
        mut statement: impl FnMut(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match statement(client) {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                create(client, &self.creation())?;
                // Entries are not worth compressing: most are small, and the codecs are compact.
                let plain = format!(
                    "ALTER TABLE {} ALTER value SET STORAGE EXTERNAL",
                    self.table
                );
                drop(client.batch_execute(&plain));
                statement(client)
            }
            done => done,
        }
    }
}

/// Runs a `CREATE TABLE IF NOT EXISTS`, which fails if another session runs the same at the same time.
pub(crate) fn create(client: &mut Client, sql: &str) -> Result<(), Error> {
    const RACES: [SqlState; 3] = [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
    ];
    match client.batch_execute(sql) {
        Err(error) if !error.code().is_some_and(|code| RACES.contains(code)) => Err(error),
        _ => Ok(()),
    }
}
