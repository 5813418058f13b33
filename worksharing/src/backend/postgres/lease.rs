use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::postgres::error::SqlState;
use ::postgres::types::Type;
use ::postgres::{Client, Error};

use super::server::Table;
use crate::sync::{Mutex, MutexGuard, lock};

/// Lease rows: for where session locks cannot work. A row is taken when its lease has run out, by the
/// database's clock, and renewed long before it does. Every statement stands for itself, and no setting of the
/// session is touched: a pooler in transaction mode may give each to another server connection.
#[derive(Debug)]
pub(crate) struct Leases {
    table: String,
    held: Tokens,
    renewal: Instant,
}

/// The token of each lease that this process holds, whatever becomes of its connections.
pub(crate) type Tokens = Arc<Mutex<HashMap<i64, i64>>>;

/// A dead process's keys are free after this.
const LEASE: &str = "15 seconds";

impl Leases {
    /// How often leases are renewed: a third of their length.
    pub(crate) const RENEWAL: Duration = Duration::from_secs(5);

    pub(crate) fn new(table: &Table, held: &Tokens) -> Self {
        let renewal = Instant::now() + Self::RENEWAL;
        Self {
            table: table.leases.clone(),
            held: Arc::clone(held),
            renewal,
        }
    }

    /// Takes those of the keys that are free, and returns them.
    pub(crate) fn take(
        &mut self,
        client: &mut Client,
        keys: &[i64],
    ) -> Result<HashSet<i64>, Error> {
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let taken = match self.try_take(client, keys) {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                self.create(client)?;
                self.try_take(client, keys)
            }
            taken => taken,
        };
        match taken {
            Ok(taken) => {
                self.held().extend(taken.iter().copied());
                Ok(taken.into_iter().map(|(key, _)| key).collect())
            }
            // Somebody else is taking the same rows at this very moment.
            Err(error) if error.code() == Some(&SqlState::T_R_SERIALIZATION_FAILURE) => {
                Ok(HashSet::new())
            }
            Err(error) => Err(error),
        }
    }

    /// Looks before it takes, so that asking for a busy key writes nothing; takes rows in the order of their
    /// keys, so that two batches do not wait for each other in a circle. Tokens start at the clock: a row that
    /// was swept away, or lost in a crash of the server, never gives one a second time.
    fn try_take(&self, client: &mut Client, keys: &[i64]) -> Result<Vec<(i64, i64)>, Error> {
        let sql = format!(
            "INSERT INTO {table} AS l (k, token, lease_until)
             SELECT t.k, (extract(epoch FROM clock_timestamp()) * 1e6)::bigint,
                    clock_timestamp() + '{LEASE}'::interval
               FROM unnest($1::bigint[]) AS t(k)
              WHERE NOT EXISTS (SELECT FROM {table} b WHERE b.k = t.k AND b.lease_until > clock_timestamp())
              ORDER BY t.k
             ON CONFLICT (k) DO UPDATE
                SET token = l.token + 1, lease_until = clock_timestamp() + '{LEASE}'::interval
              WHERE l.lease_until <= clock_timestamp()
             RETURNING k, token",
            table = self.table,
        );
        let rows = client.query_typed(&sql, &[(&keys, Type::INT8_ARRAY)])?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Gives leases back.
    pub(crate) fn release(&mut self, client: &mut Client, keys: &[i64]) -> Result<(), Error> {
        let held: Vec<(i64, i64)> = {
            let tokens = self.held();
            keys.iter()
                .filter_map(|key| Some((*key, *tokens.get(key)?)))
                .collect()
        };
        self.update(client, &held, "'-infinity'")?;
        let mut tokens = self.held();
        tokens.retain(|key, _| !keys.contains(key));
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, HashMap<i64, i64>> {
        lock(&self.held)
    }

    /// Renews what is held, if it is time, and forgets what was lost.
    pub(crate) fn renew(&mut self, client: &mut Client) -> Result<(), Error> {
        if self.renewal > Instant::now() {
            return Ok(());
        }
        self.renewal = Instant::now() + Self::RENEWAL;
        let held: Vec<(i64, i64)> = self
            .held()
            .iter()
            .map(|(key, token)| (*key, *token))
            .collect();
        let renewed = self.update(
            client,
            &held,
            &format!("clock_timestamp() + '{LEASE}'::interval"),
        )?;
        self.held().retain(|key, _| renewed.contains(key));
        self.sweep(client)
    }

    fn update(
        &self,
        client: &mut Client,
        held: &[(i64, i64)],
        until: &str,
    ) -> Result<HashSet<i64>, Error> {
        if held.is_empty() {
            return Ok(HashSet::new());
        }
        let (keys, tokens): (Vec<i64>, Vec<i64>) = held.iter().copied().unzip();
        let sql = format!(
            "UPDATE {table} AS l SET lease_until = {until}
               FROM unnest($1::bigint[], $2::bigint[]) AS t(k, token)
              WHERE l.k = t.k AND l.token = t.token AND l.lease_until > '-infinity'
             RETURNING l.k",
            table = self.table,
        );
        let parameters: [(&(dyn ::postgres::types::ToSql + Sync), Type); 2] =
            [(&keys, Type::INT8_ARRAY), (&tokens, Type::INT8_ARRAY)];
        Ok(client
            .query_typed(&sql, &parameters)?
            .iter()
            .map(|row| row.get(0))
            .collect())
    }

    /// Removes some rows that nobody holds.
    fn sweep(&self, client: &mut Client) -> Result<(), Error> {
        let sql = format!(
            "DELETE FROM {table} WHERE k IN (
               SELECT k FROM {table} WHERE lease_until < clock_timestamp() - interval '1 minute'
                LIMIT 500 FOR UPDATE SKIP LOCKED)",
            table = self.table,
        );
        match client.query_typed(&sql, &[]) {
            Err(error) if error.code() != Some(&SqlState::UNDEFINED_TABLE) => Err(error),
            _ => Ok(()),
        }
    }

    fn create(&self, client: &mut Client) -> Result<(), Error> {
        let sql = format!(
            "CREATE UNLOGGED TABLE IF NOT EXISTS {} (
               k bigint PRIMARY KEY, token bigint NOT NULL, lease_until timestamptz NOT NULL
             ) WITH (fillfactor = 50)",
            self.table,
        );
        super::values::create(client, &sql)
    }
}
