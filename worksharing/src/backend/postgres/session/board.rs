//! The table of what is computed. A row counts for as long as the session, or the lease, holds its key that it names:
//! whoever dies is forgotten by the lock itself, and what is left of it is removed by others.

use std::collections::HashMap;
use std::process;
use std::time::{Duration, Instant};

use ::postgres::error::SqlState;
use ::postgres::types::Type;
use ::postgres::{Client, Error, Row};

use super::advisory::FROM_LOCKS;
use super::statement::{Parameters, Statement};
use crate::ErrorKind;
use crate::backend::postgres::lock::chance;
use crate::backend::postgres::table::{Table, create};
use crate::computing::{Computation, Notice, Posted, host};

pub(super) struct BoardTable {
    table: Table,
    statement: Statement,
    host: String,
    /// It is left alone until then, because of this.
    paused: Option<(Instant, crate::Error)>,
    /// When it is looked for rows of the dead.
    sweep: Instant,
}

/// How often that is.
const SWEEP: Duration = Duration::from_secs(60);
/// How long the table is left alone after trouble with it; and where it cannot be made or used.
const PAUSE: Duration = Duration::from_secs(1);
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// What an interest key has that its lock key has not.
const INTEREST: i64 = 1 << 60;

impl BoardTable {
    pub(super) fn new(table: &Table, statement: Statement) -> Self {
        Self {
            table: table.clone(),
            statement,
            host: host(),
            paused: None,
            sweep: Instant::now() + some_of(SWEEP),
        }
    }

    pub(super) fn creation(&self) -> String {
        self.table.creation_of_computing()
    }

    /// Why nothing is published for now.
    pub(super) fn paused(&self) -> Option<&crate::Error> {
        let (until, error) = self.paused.as_ref()?;
        (*until > Instant::now()).then_some(error)
    }

    /// Why nothing is read for now: what is missing may have been made by now, and is looked for.
    pub(super) fn held_up(&self) -> Option<crate::Error> {
        let error = self.paused()?;
        (error.kind() != ErrorKind::Unsuitable).then(|| error.clone())
    }

    /// Leaves the table alone for a while after trouble, and not any more once it works.
    pub(super) fn pause_after(&mut self, error: Option<&crate::Error>) {
        self.paused = error.map(|error| {
            let pause = match error.kind() {
                ErrorKind::Unsuitable => LONG_PAUSE,
                _ => PAUSE,
            };
            (Instant::now() + pause, error.clone())
        });
    }

    /// Writes what others are to know, with the numbers by which their keys are held, and removes what has ended.
    pub(super) fn write(
        &mut self,
        client: &mut Client,
        published: &[(&Notice, i64)],
        withdrawn: &[&Notice],
    ) -> Result<(), Error> {
        if !published.is_empty() {
            match self.publish(client, published, |text| text.replace('\0', "\\0")) {
                // The database has an encoding of its own.
                Err(error) if error.code().is_some_and(|code| FOREIGN.contains(code)) => {
                    self.publish(client, published, |text| text.escape_default().to_string())?;
                }
                done => done?,
            }
            self.sweep(client)?;
        }
        if !withdrawn.is_empty() {
            let of = |notice: &&Notice| (notice.key.lock_key(), notice.id);
            let (keys, ids): (Vec<i64>, Vec<i64>) = withdrawn.iter().map(of).unzip();
            let sql = format!(
                "DELETE FROM {} WHERE k = ANY($1) AND id = ANY($2)",
                self.table.computing
            );
            self.run(
                client,
                &sql,
                &[(&keys, Type::INT8_ARRAY), (&ids, Type::INT8_ARRAY)],
            )?;
        }
        Ok(())
    }

    fn publish(
        &self,
        client: &mut Client,
        published: &[(&Notice, i64)],
        written: impl Fn(&str) -> String,
    ) -> Result<(), Error> {
        let sql = format!(
            "INSERT INTO {} (k, id, holder, since, process, host, function, key)
             SELECT k, id, holder, clock_timestamp() - make_interval(secs => age), $7, $8, function, key
               FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::float8[], $5::text[], $6::text[])
                    AS n(k, id, holder, age, function, key)
              ORDER BY k
             ON CONFLICT (k) DO UPDATE SET id = excluded.id, holder = excluded.holder, since = excluded.since,
                    process = excluded.process, host = excluded.host, function = excluded.function,
                    key = excluded.key",
            self.table.computing
        );
        let notices = || published.iter().map(|(notice, _)| notice);
        let keys: Vec<i64> = notices().map(|notice| notice.key.lock_key()).collect();
        let ids: Vec<i64> = notices().map(|notice| notice.id).collect();
        let holders: Vec<i64> = published.iter().map(|(_, holder)| *holder).collect();
        let ages = notices().map(|notice| notice.begun.elapsed().as_secs_f64());
        let ages: Vec<f64> = ages.collect();
        let functions: Vec<String> = notices().map(|it| written(it.function)).collect();
        let texts: Vec<String> = notices().map(|it| written(it.text())).collect();
        let process = i64::from(process::id());
        let parameters: Parameters<'_> = &[
            (&keys, Type::INT8_ARRAY),
            (&ids, Type::INT8_ARRAY),
            (&holders, Type::INT8_ARRAY),
            (&ages, Type::FLOAT8_ARRAY),
            (&functions, Type::TEXT_ARRAY),
            (&texts, Type::TEXT_ARRAY),
            (&process, Type::INT8),
            (&self.host, Type::TEXT),
        ];
        self.run(client, &sql, parameters).map(drop)
    }

    /// What is computed, and how many wait for each of these keys.
    pub(super) fn read(&mut self, client: &mut Client, keys: &[i64]) -> Result<Posted, Error> {
        let sql = format!(
            "WITH {}
             SELECT c.k, id, key, function, process, host,
                    extract(epoch FROM clock_timestamp() - since)::float8, coalesce(waiting, 0)::bigint,
                    held.k IS NOT NULL
               FROM (SELECT k, id, holder, since, process, host, function, key FROM {}
                     UNION ALL
                     SELECT k, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM unnest($1::bigint[]) AS k) AS c
               LEFT JOIN held ON held.k = c.k AND held.holder = c.holder
               LEFT JOIN waits ON waits.k = c.k | {INTEREST}",
            self.holders(),
            self.table.computing,
        );
        let rows = self.run(client, &sql, &[(&keys, Type::INT8_ARRAY)])?;
        let (mut posted, mut waiting, mut has_dead) = (Posted::default(), HashMap::new(), false);
        for row in &rows {
            match (row.get::<_, Option<i64>>(1), row.get(8)) {
                (None, _) => drop(waiting.insert(row.get::<_, i64>(0), waiting_of(row))),
                (Some(id), true) => posted.computations.push((id, computation(row))),
                (Some(_), false) => has_dead = true,
            }
        }
        let of = |key| waiting.get(key).copied().unwrap_or_default();
        posted.waiting = keys.iter().map(of).collect();
        if has_dead {
            self.sweep = self.sweep.min(Instant::now());
            self.sweep(client)?;
        }
        Ok(posted)
    }

    /// Tries the table with a row that nobody holds.
    pub(super) fn check(&mut self, client: &mut Client) -> Result<(), Error> {
        self.sweep = Instant::now();
        self.read(client, &[])?;
        let sql = format!(
            "INSERT INTO {table} (k, id, holder, since, process, host, function, key)
             VALUES ($1, $1, 0, clock_timestamp(), 0, '', '', '') ON CONFLICT (k) DO UPDATE SET id = excluded.id",
            table = self.table.computing
        );
        let key = crate::backend::postgres::probe::probe_key();
        self.run(client, &sql, &[(&key, Type::INT8)])?;
        let sql = format!("DELETE FROM {} WHERE k = $1", self.table.computing);
        self.run(client, &sql, &[(&key, Type::INT8)]).map(drop)
    }

    /// Removes rows of those who are gone, if it is time. One that somebody else writes at the moment is left.
    fn sweep(&mut self, client: &mut Client) -> Result<(), Error> {
        let now = Instant::now();
        if self.sweep > now {
            return Ok(());
        }
        self.sweep = now + SWEEP;
        let sql = format!(
            "WITH {}
             DELETE FROM {table} WHERE ctid = ANY(ARRAY(
               SELECT ctid FROM {table} AS t
                WHERE NOT EXISTS (SELECT FROM held WHERE held.k = t.k AND held.holder = t.holder)
                LIMIT 10000 FOR UPDATE OF t SKIP LOCKED))",
            self.holders(),
            table = self.table.computing,
        );
        self.run(client, &sql, &[]).map(drop)
    }

    /// Who holds keys here, and who waits.
    fn holders(&self) -> String {
        if self.statement.own_session {
            return format!(
                "locks AS MATERIALIZED (
                   SELECT classid::bigint << 32 | objid::bigint AS k, pid::bigint AS holder, mode {FROM_LOCKS}),
                 held AS MATERIALIZED (SELECT k, holder FROM locks WHERE mode = 'ExclusiveLock'),
                 waits AS MATERIALIZED (
                   SELECT k, count(*) AS waiting FROM locks WHERE mode = 'ShareLock' GROUP BY k)"
            );
        }
        format!(
            "held AS MATERIALIZED (
               SELECT k, token AS holder FROM {} WHERE lease_until > clock_timestamp()),
             waits AS (SELECT NULL::bigint AS k, 0 AS waiting WHERE false)",
            self.table.leases
        )
    }

    /// Runs a statement, and makes the tables if they turn out to be missing.
    fn run(
        &self,
        client: &mut Client,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Error> {
        match self.statement.run(client, sql, parameters) {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                if !self.statement.own_session {
                    create(client, &self.table.creation_of_leases())?;
                }
                create(client, &self.creation())?;
                self.statement.run(client, sql, parameters)
            }
            done => done,
        }
    }
}

/// A random part of a time: each look for rows of the dead lists all locks of the server, and a thousand processes that
/// begin at once, as in a deploy, must not do that at one moment.
fn some_of(time: Duration) -> Duration {
    time.mul_f64(chance(Instant::now()))
}

/// What a database says that cannot keep a text.
const FOREIGN: [SqlState; 2] = [
    SqlState::UNTRANSLATABLE_CHARACTER,
    SqlState::CHARACTER_NOT_IN_REPERTOIRE,
];

fn computation(row: &Row) -> Computation {
    let age = row.get::<_, f64>(6).max(0.0);
    let age = Duration::try_from_secs_f64(age).unwrap_or_default();
    let process = u32::try_from(row.get::<_, i64>(4)).unwrap_or_default();
    let mut computation = Computation::new(row.get(2), row.get(3), process, row.get(5), age);
    computation.waiting = waiting_of(row);
    computation
}

fn waiting_of(row: &Row) -> u32 {
    u32::try_from(row.get::<_, i64>(7)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_spread() {
        let early = (0..1_000).filter(|_| some_of(SWEEP) < SWEEP / 4).count();
        assert!((150..350).contains(&early), "{early} of a thousand");
        assert!((0..1_000).all(|_| some_of(SWEEP) <= SWEEP));
    }
}
