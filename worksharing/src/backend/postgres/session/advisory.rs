use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use ::postgres::error::SqlState;
use ::postgres::types::{ToSql, Type};
use ::postgres::{Client, Error};

use super::prepared::Prepared;
use crate::backend::postgres::listener::CHANNEL;

/// Session-level advisory locks: held until they are unlocked, or the session ends.
///
/// They are re-entrant, so a key must not be asked for while this process holds it or asks for it; and they
/// are not transactional, so those that a failed statement took must be given back.
pub(crate) struct Advisory {
    try_lock: Prepared,
    unlock_and_try: Prepared,
    mark: Prepared,
    unmark: Prepared,
    /// How many waiters have shown interest in a key. On the server it is shown once.
    marked: HashMap<i64, usize>,
    /// The lock table was full: until then nothing more is asked of it.
    full_until: Option<Instant>,
}

/// So many keys go into one statement.
const CHUNK: usize = 1_000;

const TRY: &str = "SELECT k, pg_try_advisory_lock(k) FROM unnest($1::bigint[]) AS k";

/// Unlock first, then ask for interest: the other way round, one who shows interest in between would not be
/// woken. The unlock takes effect at once, row by row, before the row's `CASE` is looked at; a shared lock on
/// the interest key makes the exclusive try fail, and that lock ends with the statement. `UNION ALL` runs its parts
/// in order: what is given back may be taken.
const UNLOCK_AND_TRY: &str = "\
WITH unlocked AS MATERIALIZED (
  SELECT k, i, pg_advisory_unlock(k) AS held FROM unnest($1::bigint[], $2::bigint[]) AS t(k, i))
SELECT NULL::bigint, held, CASE WHEN NOT held OR pg_try_advisory_xact_lock(i) THEN NULL
                                ELSE pg_notify($3, k::text) END::text
  FROM unlocked
UNION ALL
SELECT k, pg_try_advisory_lock(k), NULL FROM unnest($4::bigint[]) AS k";

/// What a failed statement released or took. A notification may be what it failed of, so nobody is told, and
/// those who wait for these keys find out by polling.
pub(super) const UNLOCK_PLAINLY: &str =
    "SELECT pg_advisory_unlock(k) FROM unnest($1::bigint[]) AS k";

/// The advisory locks of this database that are held. All locks of the server are listed for it: not to be asked often.
pub(super) const FROM_LOCKS: &str = "\
FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

const MARK: &str = "SELECT i, pg_try_advisory_lock_shared(i) FROM unnest($1::bigint[]) AS i";
const UNMARK: &str = "SELECT pg_advisory_unlock_shared(i) FROM unnest($1::bigint[]) AS i";

/// The lock table is everybody's: interest takes as much room in it as keys do, and can be done without.
const MOST_MARKS: usize = 1_000;
/// How long a full lock table is left alone.
const FULL: Duration = Duration::from_millis(250);

/// While a releaser asks for interest its exclusive lock makes a mark fail: for microseconds.
const ROUNDS: usize = 5;

impl Default for Advisory {
    fn default() -> Self {
        let of_keys = |sql: &str| Prepared::new(sql, &[Type::INT8_ARRAY]);
        Self {
            try_lock: of_keys(TRY),
            unlock_and_try: Prepared::new(
                UNLOCK_AND_TRY,
                &[
                    Type::INT8_ARRAY,
                    Type::INT8_ARRAY,
                    Type::TEXT,
                    Type::INT8_ARRAY,
                ],
            ),
            mark: of_keys(MARK),
            unmark: of_keys(UNMARK),
            marked: HashMap::new(),
            full_until: None,
        }
    }
}

impl Advisory {
    /// Releases keys, given with their interest keys, and wakes the processes that wait for them; then takes those
    /// of the other keys that are free, and returns them. No key may occur twice. Also returns whether all that was
    /// released was held, as it must be.
    pub(super) fn unlock_and_try(
        &mut self,
        client: &mut Client,
        held: &[(i64, i64)],
        keys: &[i64],
    ) -> Result<(bool, Result<HashSet<i64>, Error>), Error> {
        let (mut all_held, mut granted) = (true, HashSet::with_capacity(keys.len()));
        for start in (0..held.len().max(keys.len())).step_by(CHUNK) {
            let (unlock, interests): (Vec<i64>, Vec<i64>) =
                chunk(held, start).iter().copied().unzip();
            let tries = chunk(keys, start);
            let parameters: [&(dyn ToSql + Sync); 4] = [&unlock, &interests, &CHANNEL, &tries];
            let rows = if unlock.is_empty() {
                self.try_lock.query(client, &[&tries])
            } else {
                self.unlock_and_try.query(client, &parameters)
            };
            let rows = match rows {
                Ok(rows) => rows,
                Err(error) => {
                    return self.failed(client, &held[start.min(held.len())..], keys, error);
                }
            };
            for row in rows {
                match row.get(0) {
                    None => all_held &= row.get::<_, bool>(1),
                    Some(key) if row.get(1) => drop(granted.insert(key)),
                    Some(_) => (),
                }
            }
        }
        Ok((all_held, Ok(granted)))
    }

    /// Gives back whatever a failed statement has released or taken, or not.
    fn failed(
        &mut self,
        client: &mut Client,
        held: &[(i64, i64)],
        keys: &[i64],
        error: Error,
    ) -> Result<(bool, Result<HashSet<i64>, Error>), Error> {
        let both = held.iter().map(|held| held.0).chain(keys.iter().copied());
        let both: Vec<i64> = both.collect();
        client.query_typed(UNLOCK_PLAINLY, &[(&both, Type::INT8_ARRAY)])?;
        if error.code() == Some(&SqlState::OUT_OF_MEMORY) {
            self.full_until = Some(Instant::now() + FULL);
        } else if !held.is_empty() {
            // What did not work may have been to tell of the release.
            return self.unlock_and_try(client, &[], keys);
        }
        Ok((true, Err(error)))
    }

    /// Those of the keys that are free. They are not taken.
    pub(crate) fn free(&self, client: &mut Client, keys: &[i64]) -> Result<Vec<i64>, Error> {
        let sql = format!(
            "SELECT k FROM unnest($1::bigint[]) AS k WHERE NOT EXISTS (
               SELECT {FROM_LOCKS}
                  AND classid::bigint = (k >> 32 & 4294967295) AND objid::bigint = (k & 4294967295))"
        );
        let rows = client.query_typed(&sql, &[(&keys, Type::INT8_ARRAY)])?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Shows interest, once for each time that a key occurs; returns the keys for which it worked.
    pub(crate) fn mark(
        &mut self,
        client: &mut Client,
        interests: &[i64],
    ) -> Result<HashSet<i64>, Error> {
        let is_new = |interest: &i64| !self.marked.contains_key(interest);
        let missing: HashSet<i64> = interests.iter().copied().filter(is_new).collect();
        let room = MOST_MARKS.saturating_sub(self.marked.len());
        let missing: Vec<i64> = missing.into_iter().take(room).collect();
        let marked = match self.mark_new(client, &missing) {
            Ok(marked) => marked,
            Err(error) => {
                of_keys_done(client, &mut self.unmark, &missing)?;
                return Err(error);
            }
        };
        for interest in interests {
            if let Some(number) = self.marked.get_mut(interest) {
                *number += 1;
            } else if marked.contains(interest) {
                self.marked.insert(*interest, 1);
            }
        }
        let is_marked = |interest: &i64| self.marked.contains_key(interest);
        Ok(interests.iter().copied().filter(is_marked).collect())
    }

    fn mark_new(&mut self, client: &mut Client, interests: &[i64]) -> Result<HashSet<i64>, Error> {
        let mut marked = HashSet::with_capacity(interests.len());
        let mut missing = interests.to_vec();
        for _ in 0..ROUNDS {
            for chunk in missing.chunks(CHUNK) {
                marked.extend(of_keys(client, &mut self.mark, chunk)?);
            }
            missing.retain(|interest| !marked.contains(interest));
            if missing.is_empty() {
                break;
            }
        }
        Ok(marked)
    }

    /// Takes interest back, once for each time that a key occurs.
    pub(crate) fn unmark(&mut self, client: &mut Client, interests: &[i64]) -> Result<(), Error> {
        let mut last = Vec::new();
        for interest in interests {
            if let Some(number) = self.marked.get_mut(interest) {
                *number -= 1;
                if *number == 0 {
                    self.marked.remove(interest);
                    last.push(*interest);
                }
            }
        }
        of_keys_done(client, &mut self.unmark, &last)
    }

    /// Whether the lock table was full a moment ago.
    pub(crate) fn is_full(&self) -> bool {
        self.full_until.is_some_and(|until| until > Instant::now())
    }
}

/// What goes into one statement, from here on.
fn chunk<T>(all: &[T], start: usize) -> &[T] {
    &all[start.min(all.len())..(start + CHUNK).min(all.len())]
}

fn of_keys(client: &mut Client, statement: &mut Prepared, keys: &[i64]) -> Result<Vec<i64>, Error> {
    let rows = statement.query(client, &[&keys])?;
    Ok(rows
        .iter()
        .filter(|row| row.get(1))
        .map(|row| row.get(0))
        .collect())
}

fn of_keys_done(client: &mut Client, statement: &mut Prepared, keys: &[i64]) -> Result<(), Error> {
    for chunk in keys.chunks(CHUNK) {
        statement.query(client, &[&chunk])?;
    }
    Ok(())
}
