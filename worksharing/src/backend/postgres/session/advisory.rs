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
    unlock: Prepared,
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
/// the interest key makes the exclusive try fail, and that lock ends with the statement.
const UNLOCK: &str = "\
WITH unlocked AS MATERIALIZED (
  SELECT k, i, pg_advisory_unlock(k) AS held FROM unnest($1::bigint[], $2::bigint[]) AS t(k, i))
SELECT held, CASE WHEN NOT held OR pg_try_advisory_xact_lock(i) THEN NULL
                  ELSE pg_notify($3, k::text) END::text
  FROM unlocked";

/// Both at once: keys are given back, and others taken, in one round trip. `UNION ALL` runs its parts in order.
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
const UNLOCK_PLAINLY: &str = "SELECT pg_advisory_unlock(k) FROM unnest($1::bigint[]) AS k";

/// Which keys are free, without taking any. All locks of the server are listed for it: not to be asked often.
const FREE: &str = "\
SELECT k FROM unnest($1::bigint[]) AS k WHERE NOT EXISTS (
  SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND classid::bigint = (k >> 32 & 4294967295) AND objid::bigint = (k & 4294967295))";

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
            unlock: Prepared::new(UNLOCK, &[Type::INT8_ARRAY, Type::INT8_ARRAY, Type::TEXT]),
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
    /// Takes those of the keys that are free, and returns them. No key may occur twice.
    pub(crate) fn try_lock(
        &mut self,
        client: &mut Client,
        keys: &[i64],
    ) -> Result<HashSet<i64>, Error> {
        let mut granted = HashSet::with_capacity(keys.len());
        for chunk in keys.chunks(CHUNK) {
            match of_keys(client, &mut self.try_lock, chunk) {
                Ok(taken) => granted.extend(taken),
                Err(error) => {
                    self.give_back(client, keys, &error)?;
                    return Err(error);
                }
            }
        }
        Ok(granted)
    }

    /// Releases keys, given with their interest keys, and wakes the processes that wait for them. Returns
    /// whether all were held, as they must be.
    pub(crate) fn unlock(
        &mut self,
        client: &mut Client,
        held: &[(i64, i64)],
    ) -> Result<bool, Error> {
        let mut all_held = true;
        for chunk in held.chunks(CHUNK) {
            let (keys, interests): (Vec<i64>, Vec<i64>) = chunk.iter().copied().unzip();
            match self.unlock.query(client, &[&keys, &interests, &CHANNEL]) {
                Ok(rows) => all_held &= rows.iter().all(|row| row.get(0)),
                Err(_) => unlock_plainly(client, &keys)?,
            }
        }
        Ok(all_held)
    }

    /// [`unlock`](Self::unlock) and [`try_lock`](Self::try_lock) in one statement.
    pub(crate) fn unlock_and_try(
        &mut self,
        client: &mut Client,
        held: &[(i64, i64)],
        keys: &[i64],
    ) -> Result<(bool, Result<HashSet<i64>, Error>), Error> {
        if held.is_empty() || keys.is_empty() || held.len().max(keys.len()) > CHUNK {
            let all_held = self.unlock(client, held)?;
            return Ok((all_held, self.try_lock(client, keys)));
        }
        let (unlock, interests): (Vec<i64>, Vec<i64>) = held.iter().copied().unzip();
        let parameters: [&(dyn ToSql + Sync); 4] = [&unlock, &interests, &CHANNEL, &keys];
        match self.unlock_and_try.query(client, &parameters) {
            Ok(rows) => {
                let (released, tried): (Vec<_>, Vec<_>) = rows
                    .iter()
                    .partition(|row| row.get::<_, Option<i64>>(0).is_none());
                let granted = tried.iter().filter(|row| row.get(1)).map(|row| row.get(0));
                Ok((released.iter().all(|row| row.get(1)), Ok(granted.collect())))
            }
            Err(error) => {
                unlock_plainly(client, &unlock)?;
                self.give_back(client, keys, &error)?;
                if self.is_full() {
                    return Ok((true, Err(error)));
                }
                // What did not work may have been to tell of the release.
                Ok((true, self.try_lock(client, keys)))
            }
        }
    }

    /// Those of the keys that are free. They are not taken.
    pub(crate) fn free(&self, client: &mut Client, keys: &[i64]) -> Result<Vec<i64>, Error> {
        let rows = client.query_typed(FREE, &[(&keys, Type::INT8_ARRAY)])?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Releases keys, some of which a failed statement may have taken.
    fn give_back(&mut self, client: &mut Client, keys: &[i64], error: &Error) -> Result<(), Error> {
        if error.code() == Some(&SqlState::OUT_OF_MEMORY) {
            self.full_until = Some(Instant::now() + FULL);
        }
        unlock_plainly(client, keys)
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

fn unlock_plainly(client: &mut Client, keys: &[i64]) -> Result<(), Error> {
    client
        .query_typed(UNLOCK_PLAINLY, &[(&keys, Type::INT8_ARRAY)])
        .map(drop)
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
