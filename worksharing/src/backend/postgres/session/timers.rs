//! What the session does between batches.

use std::time::{Duration, Instant};

use ::postgres::Client;

use super::batch::Batch;
use super::strategy::LockStrategy;
use super::{Connection, Session};
use crate::Error;
use crate::backend::link::Watchdog;
use crate::backend::postgres::lock::Due;
use crate::backend::postgres::probe;

/// Well below `idle_session_timeout`, which frees the keys of a frozen process.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often at most it is listed which keys are free.
const LIST: Duration = Duration::from_secs(1);

impl Session {
    pub(super) fn run_timers(
        &self,
        connection: &mut Connection,
        watchdog: &Watchdog,
    ) -> Result<(), Error> {
        let now = Instant::now();
        self.keep(connection, now)?;
        watchdog.arm();
        self.poll(connection, now)?;
        watchdog.arm();
        self.watch(connection, now)?;
        let of_strategy = match &connection.strategy {
            LockStrategy::Advisory(_) => connection.watch.due(&self.key_table),
            LockStrategy::Leases(leases, _) => Some(leases.due()),
        };
        let others = [
            of_strategy,
            self.key_table.permits().expire(now),
            self.key_table.next_due(),
            connection.values.due(),
            (!connection.barred.is_empty()).then_some(connection.list),
        ];
        let others = others.into_iter().flatten();
        connection.due = others.fold(connection.heartbeat, Instant::min);
        Ok(())
    }

    /// What is only housekeeping may fail, as long as the session lives.
    pub(super) fn housekeeping(
        &self,
        client: &Client,
        done: Result<(), ::postgres::Error>,
    ) -> Result<(), Error> {
        if let Err(error) = self.settle(client, done)? {
            tracing::debug!(error = %error.chain(), "housekeeping failed");
        }
        Ok(())
    }

    /// Looks after the session itself and the rows that it leaves behind.
    fn keep(&self, connection: &mut Connection, now: Instant) -> Result<(), Error> {
        let Connection {
            client,
            values,
            strategy,
            ..
        } = connection;
        if connection.heartbeat <= now {
            probe::same_session(client, connection.backend, &self.address)?;
            connection.heartbeat = now + HEARTBEAT;
            // Should its thread have ended.
            self.listen();
            self.handoff.close_spare();
        }
        let swept = values.sweep(client, now);
        self.housekeeping(client, swept)?;
        if let LockStrategy::Leases(leases, _) = strategy {
            let looked_after = leases.look_after(client, |asked| self.key_table.holds(asked));
            self.housekeeping(client, looked_after)?;
        }
        Ok(())
    }

    /// Tries again for keys whose holders may have died without a word. Where no more keys may be held, it is only
    /// looked whether they are free.
    fn poll(&self, connection: &mut Connection, now: Instant) -> Result<(), Error> {
        let Due { claims, barred } = self.key_table.due(now);
        connection.barred.extend(barred);
        self.list(connection, now)?;
        if claims.is_empty() {
            return Ok(());
        }
        let batch = Batch {
            try_lock: claims.iter().map(|claim| (0, claim.asked())).collect(),
            ..Batch::default()
        };
        let Ok(taken) = self.take(connection, &batch)? else {
            return Ok(());
        };
        let mut back = Batch::default();
        for claim in claims {
            let key = claim.asked().lock;
            if !taken.contains(&key) {
                drop(claim);
                // A value may have been stored by somebody who does not tell.
                self.key_table.released(key);
            } else if let Some(unwanted) =
                self.key_table.hand_over(claim.granted(connection.number))
            {
                back.unlock.push(unwanted.held());
            }
        }
        if !back.unlock.is_empty() {
            drop(self.take(connection, &back)?);
        }
        Ok(())
    }

    /// Looks after those who wait, here and elsewhere, for keys whose holders have died.
    fn watch(&self, connection: &mut Connection, now: Instant) -> Result<(), Error> {
        let Connection {
            client,
            watch,
            strategy: LockStrategy::Advisory(_),
            ..
        } = connection
        else {
            return Ok(());
        };
        let watched = watch.run(client, &self.key_table, now);
        self.housekeeping(client, watched)
    }

    /// Has those look who wait for keys that are free.
    fn list(&self, connection: &mut Connection, now: Instant) -> Result<(), Error> {
        if connection.barred.is_empty() || connection.list > now {
            return Ok(());
        }
        connection.list = now + LIST;
        let keys: Vec<i64> = connection.barred.drain().collect();
        let free = connection.strategy.free(&mut connection.client, &keys);
        for key in self.settle(&connection.client, free)?.unwrap_or_default() {
            self.key_table.released(key);
        }
        Ok(())
    }
}
