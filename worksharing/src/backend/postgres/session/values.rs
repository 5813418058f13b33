use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use ::postgres::error::SqlState;
use ::postgres::types::Type;
use ::postgres::{Client, Error, Row};
use bytes::Bytes;

use super::batch::Put;
use super::outbox::Laid;
use super::pending::{Pending, Texts};
use super::statement::{Parameters, Statement};
use super::sweeper::Sweeper;
use crate::backend::postgres::table::{Table, create};
use crate::store::{Fence, Look, Seen, Stored};

/// The unlogged table of values.
pub(super) struct Values {
    table: String,
    creation: String,
    statement: Statement,
    /// Where it stands what transactions have invalidated, if that is to be looked at.
    pending: Option<Pending>,
    used: bool,
    sweeper: Sweeper,
    /// The table is left alone until then, because of this.
    paused: Option<(Instant, crate::Error)>,
}

/// What stands under a key.
pub(super) struct Found {
    bytes: Bytes,
    length: usize,
    time_left: Duration,
    is_pending: bool,
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
            used: false,
            sweeper: Sweeper::new(&table.values, is_dead, "octet_length(value)"),
            paused: None,
        }
    }

    /// Looks and puts go by what is pending from now on, or do not.
    pub(super) fn go_by(&mut self, pending: Option<&Pending>) {
        self.pending = pending.cloned();
    }

    /// The entries that stand under these keys and have not expired. Of those of more than `most` bytes the
    /// beginning. A key whose text is pending has no entry, whatever stands there: both are seen at one moment.
    pub(super) fn get(
        &mut self,
        client: &mut Client,
        keys: &[&str],
        most: usize,
        texts: &Texts<'_>,
    ) -> Result<HashMap<String, Found>, Error> {
        let sql = format!(
            "SELECT key, CASE WHEN octet_length(value) <= $2 THEN value ELSE substring(value FROM 1 FOR {LEN}) END,
                    octet_length(value), extract(epoch FROM expires - clock_timestamp())::float8
               FROM {table} WHERE key = ANY($1) AND expires > clock_timestamp()",
            table = self.table,
            LEN = Seen::LEN,
        );
        let at_once = i32::try_from(most.min(LARGE)).unwrap_or(i32::MAX);
        let parameters: Parameters<'_> = &[(&keys, Type::TEXT_ARRAY), (&at_once, Type::INT4)];
        let rows = match self.pending.clone().filter(|_| !texts.is_empty()) {
            None => self.run(client, &sql, parameters, false)?,
            Some(pending) => {
                let sql = format!(
                    "{sql} UNION ALL SELECT key, NULL, NULL, NULL FROM ({}) AS p",
                    pending.keys(parameters.len() + 1)
                );
                let all = [parameters, &texts.parameters(&pending)].concat();
                self.run(client, &sql, &all, false)?
            }
        };
        let all = rows.iter().map(|row| (row.get(0), Found::of(row)));
        let (pending, there): (Vec<_>, Vec<_>) = all.partition(|(_, found)| found.is_pending);
        let mut found: HashMap<String, Found> = there.into_iter().chain(pending).collect();
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        for key in keys {
            let is_wanted = |found: &Found| !found.is_whole() && found.length <= most as usize;
            if !found.get(*key).is_some_and(is_wanted) {
                continue;
            }
            let parameters: Parameters<'_> =
                &[(&&[*key][..], Type::TEXT_ARRAY), (&most, Type::INT4)];
            match self.run(client, &sql, parameters, true)?.first() {
                Some(row) => found.insert(row.get(0), Found::of(row)),
                None => found.remove(*key),
            };
        }
        Ok(found)
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

    /// Lays entries, each if one of its rows is due still, and has done with these rows. Rows that another session is at
    /// are left to it. No key occurs twice.
    pub(super) fn lay(
        &mut self,
        client: &mut Client,
        due: &str,
        store: &str,
        all: &[Laid],
    ) -> Result<HashSet<String>, Error> {
        let (mut ids, mut places) = (Vec::new(), Vec::new());
        for (place, laid) in (0_i32..).zip(all) {
            ids.extend_from_slice(&laid.rows);
            places.resize(ids.len(), place);
        }
        let order: Vec<i32> = (0_i32..).take(all.len()).collect();
        let keys: Vec<&str> = all.iter().map(|laid| &*laid.entry.key).collect();
        let entries: Vec<&[u8]> = all.iter().map(|laid| &*laid.entry.entry).collect();
        let seconds = |laid: &Laid| laid.entry.ttl.min(LONGEST).as_secs_f64();
        let seconds: Vec<f64> = all.iter().map(seconds).collect();
        let sql = format!(
            "WITH free AS MATERIALIZED (
               SELECT id FROM {due} WHERE store = $1 AND id = ANY($2) ORDER BY id FOR UPDATE SKIP LOCKED),
             gone AS (
               DELETE FROM {due} AS d USING free WHERE d.store = $1 AND d.id = free.id RETURNING d.id)
             INSERT INTO {table} AS t (key, value, expires)
             SELECT key, value, clock_timestamp() + make_interval(secs => seconds)
               FROM unnest($4::int[], $5::text[], $6::bytea[], $7::float8[]) AS n(place, key, value, seconds)
              WHERE place IN (SELECT place FROM unnest($2::bigint[], $3::int[]) AS r(id, place) JOIN gone USING (id))
              ORDER BY key
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires
             RETURNING key",
            table = self.table,
        );
        let parameters: Parameters<'_> = &[
            (&store, Type::TEXT),
            (&ids, Type::INT8_ARRAY),
            (&places, Type::INT4_ARRAY),
            (&order, Type::INT4_ARRAY),
            (&keys, Type::TEXT_ARRAY),
            (&entries, Type::BYTEA_ARRAY),
            (&seconds, Type::FLOAT8_ARRAY),
        ];
        let laid = self.run(client, &sql, parameters, false)?;
        self.sweeper.stored();
        Ok(laid.iter().map(|row| row.get(0)).collect())
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

    /// Runs a statement, and makes the table if it turns out to be missing.
    fn run(
        &mut self,
        client: &mut Client,
        sql: &str,
        parameters: Parameters<'_>,
        is_large: bool,
    ) -> Result<Vec<Row>, Error> {
        self.used = true;
        match self.run_once(client, sql, parameters, is_large) {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                create(client, &self.creation)?;
                // Entries are not worth compressing: most are small, and the codecs are compact. And the beginning
                // of one can be read without the rest.
                let plain = format!(
                    "ALTER TABLE {} ALTER value SET STORAGE EXTERNAL",
                    self.table
                );
                drop(client.batch_execute(&plain));
                self.run_once(client, sql, parameters, is_large)
            }
            done => done,
        }
    }

    fn run_once(
        &self,
        client: &mut Client,
        sql: &str,
        parameters: Parameters<'_>,
        is_large: bool,
    ) -> Result<Vec<Row>, Error> {
        if is_large {
            return self.statement.run_patiently(client, sql, parameters);
        }
        self.statement.run(client, sql, parameters)
    }
}

impl Found {
    fn of(row: &Row) -> Self {
        let bytes: Option<Vec<u8>> = row.get(1);
        let length: Option<i32> = row.get(2);
        let time_left: Option<f64> = row.get(3);
        Self {
            is_pending: bytes.is_none(),
            bytes: bytes.unwrap_or_default().into(),
            length: usize::try_from(length.unwrap_or_default()).unwrap_or_default(),
            time_left: Duration::try_from_secs_f64(time_left.unwrap_or_default())
                .unwrap_or_default(),
        }
    }

    fn is_whole(&self) -> bool {
        self.bytes.len() == self.length
    }

    /// As whoever looks for it wants it.
    pub(super) fn stored(&self, look: Look) -> Stored {
        if self.is_pending {
            return Stored::pending(look);
        }
        let mut stored = Stored::new(self.bytes.clone(), look).with_time_left(self.time_left);
        stored.whole &= self.is_whole();
        stored
    }
}

#[cfg(test)]
mod tests;
