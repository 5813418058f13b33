use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::postgres::error::SqlState;
use ::postgres::{Client, Error};

use super::statement::{Statement, keys};
use super::sweeper::Sweeper;
use crate::backend::postgres::lock::Asked;
use crate::backend::postgres::probe::probe_key;
use crate::backend::postgres::table::{Table, create};
use crate::sync::{Mutex, MutexGuard, lock};

/// Lease rows: for where session locks cannot work. A row is taken when its lease has run out, by the
/// database's clock, and renewed long before it does. Every statement stands for itself, and no setting of the
/// session is touched: a pooler in transaction mode may give each to another server connection.
///
/// A lease belongs to whoever asked for it, by the random number of that claim: so a statement that is sent again,
/// because its answer was lost, finds that it has taken the key.
pub(super) struct Leases {
    table: String,
    creation: String,
    taken: Taken,
    renewal: Instant,
    sweeper: Sweeper,
}

/// What the server may hold for this process, by the claims' numbers, whatever becomes of its connections. Only what
/// somebody is known to hold is renewed; the rest is given back.
pub(super) type Taken = Arc<Mutex<HashMap<i64, i64>>>;

/// A dead process's keys are free after this.
const LEASE: &str = "15 seconds";
/// How often leases are renewed: a third of their length.
const RENEWAL: Duration = Duration::from_secs(5);

impl Leases {
    pub(super) fn new(table: &Table, taken: &Taken) -> Self {
        let is_dead = "lease_until < clock_timestamp() - interval '1 minute'";
        let statement = Statement { own_session: false };
        Self {
            table: table.leases.clone(),
            creation: table.creation_of_leases(),
            taken: Arc::clone(taken),
            renewal: Instant::now(),
            sweeper: Sweeper::new(&table.leases, is_dead, "0", statement),
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<i64, i64>> {
        lock(&self.taken)
    }

    /// Takes those of the keys that are free, and returns them.
    pub(super) fn take(
        &mut self,
        client: &mut Client,
        asked: &[Asked],
    ) -> Result<HashSet<i64>, Error> {
        if asked.is_empty() {
            return Ok(HashSet::new());
        }
        // Whoever asks has claimed its key: what the server holds of it for this process is nobody's.
        let keys: HashSet<i64> = asked.iter().map(|asked| asked.lock).collect();
        let numbers: HashSet<i64> = asked.iter().map(|asked| asked.nonce).collect();
        let is_left = |left: &Asked| keys.contains(&left.lock) && !numbers.contains(&left.nonce);
        self.release(client, &self.list(is_left))?;
        self.taken()
            .extend(asked.iter().map(|asked| (asked.nonce, asked.lock)));
        let taken = match self.try_take(client, asked) {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                create(client, &self.creation)?;
                self.try_take(client, asked)
            }
            taken => taken,
        };
        let taken = match taken {
            // Somebody else is taking the same rows at this very moment.
            Err(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) => {
                HashSet::new()
            }
            taken => taken?,
        };
        let is_ours =
            |number: &i64, key: &mut i64| !numbers.contains(number) || taken.contains(key);
        self.taken().retain(is_ours);
        self.sweeper.stored();
        Ok(taken)
    }

    /// Looks before it takes, so that asking for a busy key writes nothing; takes rows in the order of their
    /// keys, so that two batches do not wait for each other in a circle.
    fn try_take(&self, client: &mut Client, asked: &[Asked]) -> Result<HashSet<i64>, Error> {
        let sql = format!(
            "INSERT INTO {table} AS l (k, token, lease_until)
             SELECT t.k, t.token, clock_timestamp() + '{LEASE}'::interval
               FROM {asked} AS t(k, token)
              WHERE NOT EXISTS (SELECT FROM {table} b WHERE b.k = t.k AND b.lease_until > clock_timestamp()
                                   AND b.token <> t.token)
              ORDER BY t.k
             ON CONFLICT (k) DO UPDATE SET token = excluded.token, lease_until = excluded.lease_until
              WHERE l.lease_until <= clock_timestamp() OR l.token = excluded.token
             RETURNING k",
            table = self.table,
            asked = rows(asked),
        );
        keys(client, &sql)
    }

    /// Gives leases back.
    pub(super) fn release(&self, client: &mut Client, held: &[Asked]) -> Result<(), Error> {
        self.update(client, held, "'-infinity'")?;
        let mut taken = self.taken();
        for asked in held {
            taken.remove(&asked.nonce);
        }
        Ok(())
    }

    /// Those of the keys that are free. They are not taken.
    pub(super) fn free(&self, client: &mut Client, keys: &[i64]) -> Result<Vec<i64>, Error> {
        let sql = format!(
            "SELECT t.k FROM unnest({}) AS t(k) WHERE NOT EXISTS (
               SELECT FROM {} b WHERE b.k = t.k AND b.lease_until > clock_timestamp())",
            array(keys.iter()),
            self.table,
        );
        Ok(self::keys(client, &sql)?.into_iter().collect())
    }

    pub(super) fn creation(&self) -> &str {
        &self.creation
    }

    /// Takes a lease that nobody else asks for, and gives it back.
    pub(super) fn check(&mut self, client: &mut Client) -> Result<(), Error> {
        let lock = probe_key();
        let asked = [Asked { lock, nonce: lock }];
        self.take(client, &asked)?;
        self.release(client, &asked)
    }

    /// When [`look_after`](Self::look_after) has something to do.
    pub(super) fn due(&self) -> Instant {
        self.renewal.min(self.sweeper.due())
    }

    /// Renews what somebody holds, and gives back what nobody does, if it is time; removes what is dead.
    pub(super) fn look_after(
        &mut self,
        client: &mut Client,
        is_held: impl Fn(Asked) -> bool,
    ) -> Result<(), Error> {
        let now = Instant::now();
        if self.renewal <= now {
            self.renewal = now + RENEWAL;
            let (held, left): (Vec<_>, Vec<_>) = self
                .list(|_| true)
                .into_iter()
                .partition(|asked| is_held(*asked));
            self.release(client, &left)?;
            let until = format!("clock_timestamp() + '{LEASE}'::interval");
            let renewed = self.update(client, &held, &until)?;
            self.taken().retain(|_, key| renewed.contains(key));
        }
        match self.sweeper.sweep(client, now) {
            Err(error) if error.code() != Some(&SqlState::UNDEFINED_TABLE) => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives back what nobody holds, before the session ends.
    pub(super) fn give_back(&mut self, client: &mut Client) -> Result<(), Error> {
        self.release(client, &self.list(|_| true))
    }

    fn list(&self, which: impl Fn(&Asked) -> bool) -> Vec<Asked> {
        let asked = |(nonce, lock): (&i64, &i64)| Asked {
            lock: *lock,
            nonce: *nonce,
        };
        self.taken().iter().map(asked).filter(which).collect()
    }

    /// A lease that was given back is never taken up again by a renewal that comes late.
    fn update(
        &self,
        client: &mut Client,
        held: &[Asked],
        until: &str,
    ) -> Result<HashSet<i64>, Error> {
        if held.is_empty() {
            return Ok(HashSet::new());
        }
        let sql = format!(
            "UPDATE {table} AS l SET lease_until = {until}
               FROM {held} AS t(k, token)
              WHERE l.k = t.k AND l.token = t.token AND l.lease_until > '-infinity'
             RETURNING l.k",
            table = self.table,
            held = rows(held),
        );
        match keys(client, &sql) {
            // With the table the leases are gone.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(HashSet::new()),
            updated => updated,
        }
    }
}

/// Keys and numbers as SQL.
fn rows(asked: &[Asked]) -> String {
    let keys = array(asked.iter().map(|asked| &asked.lock));
    let numbers = array(asked.iter().map(|asked| &asked.nonce));
    format!("unnest({keys}, {numbers})")
}

fn array<'a>(numbers: impl Iterator<Item = &'a i64>) -> String {
    let numbers: Vec<_> = numbers.map(i64::to_string).collect();
    format!("'{{{}}}'::bigint[]", numbers.join(","))
}

#[cfg(test)]
mod tests;
