mod lay;
mod look;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use ::postgres::error::SqlState;
use ::postgres::types::Type;
use ::postgres::{Client, Error, Row};
use bytes::Bytes;

use super::batch::Put;
use super::pending::{Pending, Texts};
use super::prepared::Prepared;
use super::statement::{Parameters, Statement};
use super::sweeper::Sweeper;
use crate::backend::postgres::table::{Table, create};
use crate::store::{Fence, Seen};

/// The unlogged table of values.
pub(super) struct Values {
    table: String,
    creation: String,
    statement: Statement,
    /// Where it stands what transactions have invalidated, if that is to be looked at.
    pending: Option<Pending>,
    /// What stands under keys; and what of it is pending.
    looks: [Option<Prepared>; 2],
    used: bool,
    sweeper: Sweeper,
    /// The table is left alone until then, because of this.
    paused: Option<(Instant, crate::Error)>,
}

/// An entry larger than this goes alone, and may take its time.
const LARGE: usize = 1 << 20;
/// How long a table is left alone after somebody else's lock has held a statement up.
const PAUSE: Duration = Duration::from_secs(1);
/// Ten years: past what the server's clock arithmetic minds.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

impl Values {
    /// What reading or writing the largest values may take.
    pub(super) const PATIENCE: Duration = Duration::from_secs(30);
    /// How long the server may be silent meanwhile.
    pub(super) const SILENCE: Duration = Duration::from_secs(3);

    pub(super) fn new(table: &Table, statement: Statement) -> Self {
        let is_dead = "expires <= clock_timestamp()";
        Self {
            table: table.values.clone(),
            creation: table.creation_of_values(),
            statement,
            pending: None,
            looks: [None, None],
            used: false,
            sweeper: Sweeper::new(&table.values, is_dead, "octet_length(value)", statement),
            paused: None,
        }
    }

    /// Looks and puts go by what is pending from now on, or do not.
    pub(super) fn go_by(&mut self, pending: Option<&Pending>) {
        self.pending = pending.cloned();
    }

    /// Stores entries, none of them under the same key, and returns the keys of those that were stored.
    pub(super) fn put(
        &mut self,
        client: &mut Client,
        puts: &[&Put],
    ) -> Result<HashSet<String>, Error> {
        let keys: Vec<&str> = puts.iter().map(|put| put.key.as_str()).collect();
        let entries: Vec<&[u8]> = puts.iter().map(|put| &*put.entry).collect();
        let seconds = |put: &&Put| put.ttl.min(LONGEST).as_secs_f64();
        let seconds: Vec<f64> = puts.iter().map(seconds).collect();
        let fences = puts.iter().filter_map(|put| put.fence.as_ref());
        let seen: Vec<&[u8]> = fences.map(Fence::as_bytes).collect();
        let over_anything = puts.iter().filter(|put| put.fence.is_none());
        let over_anything: Vec<&str> = over_anything.map(|put| &*put.key).collect();
        let parameters: Parameters<'_> = &[
            (&keys, Type::TEXT_ARRAY),
            (&entries, Type::BYTEA_ARRAY),
            (&seconds, Type::FLOAT8_ARRAY),
            (&seen, Type::BYTEA_ARRAY),
            (&over_anything, Type::TEXT_ARRAY),
        ];
        let texts: Texts<'_> = puts
            .iter()
            .filter_map(|put| Some((&*put.key, put.text.as_ref()?)))
            .collect();
        let pending = self.pending.clone().filter(|_| !texts.is_empty());
        // A leader that looked before the transaction committed is too late.
        let (parameters, unless_pending) = match &pending {
            None => (parameters.to_vec(), String::new()),
            Some(pending) => (
                [parameters, &texts.parameters(pending)].concat(),
                format!("WHERE key NOT IN ({})", pending.keys(parameters.len() + 1)),
            ),
        };
        // What the leaders of this batch saw are random ids: it does not matter whose was whose. A put that is sent
        // again finds its own.
        let sql = format!(
            "INSERT INTO {table} AS t (key, value, expires)
             SELECT key, value, clock_timestamp() + make_interval(secs => seconds)
               FROM unnest($1::text[], $2::bytea[], $3::float8[]) AS n(key, value, seconds)
              {unless_pending}
              ORDER BY key
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires
              WHERE t.expires <= clock_timestamp() OR substring(t.value FROM 1 FOR {LEN}) = ANY($4)
                 OR t.key = ANY($5)
                 OR substring(t.value FROM 1 FOR {LEN}) = substring(excluded.value FROM 1 FOR {LEN})
             RETURNING key",
            table = self.table,
            LEN = Seen::LEN,
        );
        let is_large = entries.iter().any(|entry| entry.len() > LARGE);
        let stored = self.run(client, &sql, &parameters, is_large)?;
        self.sweeper.stored();
        Ok(stored.iter().map(|row| row.get(0)).collect())
    }

    /// Keeps what stands under these keys for at least so long from now on. The rows are locked in the order of their
    /// keys, so that no two sessions wait for each other.
    pub(super) fn keep(
        &mut self,
        client: &mut Client,
        keys: &[(&str, Duration)],
    ) -> Result<(), Error> {
        let seconds = keys.iter().map(|(_, ttl)| ttl.min(&LONGEST).as_secs_f64());
        let seconds: Vec<f64> = seconds.collect();
        let keys: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
        let sql = format!(
            "WITH late AS (
               SELECT t.key, clock_timestamp() + make_interval(secs => seconds) AS expires
                 FROM unnest($1::text[], $2::float8[]) AS n(key, seconds) JOIN {table} AS t USING (key)
                WHERE t.expires > clock_timestamp()
                  AND t.expires < clock_timestamp() + make_interval(secs => seconds)
                ORDER BY key FOR UPDATE OF t)
             UPDATE {table} AS t SET expires = late.expires FROM late WHERE t.key = late.key",
            table = self.table,
        );
        let parameters: Parameters<'_> =
            &[(&keys, Type::TEXT_ARRAY), (&seconds, Type::FLOAT8_ARRAY)];
        self.run(client, &sql, parameters, false).map(drop)
    }

    /// Stores, replaces and reads a value, and says what did not go as it must.
    pub(super) fn check(
        &mut self,
        client: &mut Client,
        key: &str,
    ) -> Result<Option<&'static str>, Error> {
        let put = |entry: &'static [u8], seen: Option<&'static [u8]>| Put {
            key: key.to_owned(),
            entry: Bytes::from_static(entry),
            ttl: Duration::from_secs(10),
            fence: seen.map(|seen| Fence::new(Seen::of(Some(seen)), None)),
            text: None,
        };
        let puts = [
            (put(b"one", Some(b"")), true),
            (put(b"two", Some(b"another")), false),
            (put(b"two", Some(b"one")), true),
            (put(b"three", None), true),
        ];
        for (put, is_allowed) in &puts {
            if self.put(client, &[put])?.is_empty() == *is_allowed {
                return Ok(Some(
                    "does not store what it should, or stores what it should not",
                ));
            }
        }
        let found = self.get(client, &[key], LARGE, &Texts::default())?;
        let sql = format!("DELETE FROM {} WHERE key = $1", self.table);
        self.run(client, &sql, &[(&key, Type::TEXT)], false)?;
        let is_right = found
            .get(key)
            .is_some_and(|found| &*found.bytes == b"three");
        Ok((!is_right).then_some("does not give back what was stored"))
    }

    pub(super) fn creation(&self) -> &str {
        &self.creation
    }

    /// Why nothing is asked of the table for now.
    pub(super) fn paused(&self) -> Option<crate::Error> {
        let (until, error) = self.paused.as_ref()?;
        (*until > Instant::now()).then(|| error.clone())
    }

    /// Leaves the table alone for a moment, if this is what somebody else's lock on it leads to: each further
    /// statement would be held up as long, and with it the locks.
    pub(super) fn pause_after(&mut self, code: Option<&SqlState>, error: &crate::Error) {
        let held_up = [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED];
        if code.is_some_and(|code| held_up.contains(code)) {
            self.paused = Some((Instant::now() + PAUSE, error.clone()));
        }
    }

    /// When [`sweep`](Self::sweep) has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.used.then(|| self.sweeper.due())
    }

    /// Removes expired rows, if it is time.
    pub(super) fn sweep(&mut self, client: &mut Client, now: Instant) -> Result<(), Error> {
        if !self.used {
            return Ok(());
        }
        self.sweeper.sweep(client, now)
    }

    /// Runs a statement, and makes the table if it turns out to be missing. A large value may take longer than what the
    /// session's settings allow.
    fn run(
        &mut self,
        client: &mut Client,
        sql: &str,
        parameters: Parameters<'_>,
        is_large: bool,
    ) -> Result<Vec<Row>, Error> {
        let statement = self.statement;
        self.with_table(client, |client| match is_large {
            true => statement.run_patiently(client, sql, parameters),
            false => statement.run(client, sql, parameters),
        })
    }

    fn with_table(
        &mut self,
        client: &mut Client,
        mut run: impl FnMut(&mut Client) -> Result<Vec<Row>, Error>,
    ) -> Result<Vec<Row>, Error> {
        self.used = true;
        match run(client) {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                create(client, &self.creation)?;
                // Entries are not worth compressing: most are small, and the codecs are compact. And the beginning
                // of one can be read without the rest.
                let plain = format!(
                    "ALTER TABLE {} ALTER value SET STORAGE EXTERNAL",
                    self.table
                );
                drop(client.batch_execute(&plain));
                run(client)
            }
            done => done,
        }
    }
}

#[cfg(test)]
mod tests;
