use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::postgres::Client;

use super::advisory::Advisory;
use super::batch::{Answer, Answers, Ask, Batch, SessionNumber};
use super::lease::{Leases, Tokens};
use super::listener::{Listener, Spare};
use super::probe;
use super::server::{Address, Table};
use super::socket::InterruptibleClient;
use super::values::Values;
use crate::backend::link::{Link, Protocol, Watchdog};
use crate::backend::postgres::lock::KeyTable;
use crate::events::RateLimited;
use crate::lock::PostgresLock;
use crate::{Error, ErrorKind};

/// The protocol of the session that holds all of this process's keys, and serves its values where there is no
/// Redis.
pub(crate) struct Session {
    pub(crate) address: Arc<Address>,
    pub(crate) table: Table,
    pub(crate) lock: PostgresLock,
    pub(crate) key_table: Arc<KeyTable>,
    pub(crate) listener: Link<Listener>,
    pub(crate) spare: Spare,
    pub(crate) leases: Tokens,
    pub(crate) number: AtomicU64,
    pub(crate) said: RateLimited,
}

/// An open session.
pub(crate) struct Connection {
    pub(super) client: InterruptibleClient,
    /// The server's process, or `None` where a pooler may give us another for each statement.
    pub(super) backend: Option<i32>,
    pub(super) number: SessionNumber,
    pub(super) strategy: LockStrategy,
    pub(super) values: Values,
    pub(super) heartbeat: Instant,
    /// When waiters and heartbeat are looked after next.
    pub(super) due: Instant,
}

/// How keys are locked here.
pub(super) enum LockStrategy {
    Advisory(Box<Advisory>),
    /// With the reason, where leases were not asked for.
    Leases(Leases, Option<Error>),
}

/// Well below `idle_session_timeout`, which frees the keys of a frozen process.
const HEARTBEAT: Duration = Duration::from_secs(5);

impl Protocol for Session {
    type Connection = Connection;
    type Ask = Ask;
    type Answer = Answer;

    fn name(&self) -> &str {
        &self.address.name
    }

    fn connect(&self, watchdog: &Watchdog) -> Result<Connection, Error> {
        let mut client = self.address.connect(watchdog)?;
        let strategy = self.strategy(&mut client, watchdog)?;
        let backend = match strategy {
            LockStrategy::Advisory(_) => {
                Some(probe::backend(&mut client).map_err(|error| self.address.error(error))?)
            }
            LockStrategy::Leases(..) => None,
        };
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let values = Values::new(&self.table, matches!(strategy, LockStrategy::Advisory(_)));
        self.key_table.connected();
        let due = Instant::now();
        Ok(Connection {
            client,
            backend,
            number,
            strategy,
            values,
            heartbeat: due + HEARTBEAT,
            due,
        })
    }

    fn serve(
        &self,
        connection: &mut Connection,
        asks: &[Ask],
        watchdog: &Watchdog,
    ) -> Result<Vec<Result<Answer, Error>>, Error> {
        let mut answers = Answers::new(asks.len());
        let mut batch = Batch::sort(asks);
        if batch.run_timers || !batch.mark.is_empty() {
            connection.due = Instant::now();
        }
        // Releases first: what one caller gives back in this batch another may take in it.
        self.lock(connection, &batch, &mut answers, watchdog)?;
        self.mark(connection, &batch, &mut answers, watchdog)?;
        self.get(connection, &batch, &mut answers, watchdog)?;
        self.put(connection, &mut batch, &mut answers, watchdog)?;
        self.check(connection, &batch, &mut answers, watchdog)?;
        Ok(answers.finish())
    }

    fn due(&self, connection: &Connection) -> Instant {
        connection.due
    }

    fn tick(&self, connection: &mut Connection, watchdog: &Watchdog) -> Result<(), Error> {
        let now = Instant::now();
        let Connection {
            client,
            values,
            strategy,
            ..
        } = connection;
        if connection.heartbeat <= now {
            watchdog.arm();
            probe::same_session(client, connection.backend, &self.address)?;
            let swept = values.sweep(client);
            self.housekeeping(client, swept)?;
            connection.heartbeat = now + HEARTBEAT;
        }
        if let LockStrategy::Leases(leases, _) = strategy {
            watchdog.arm();
            let renewed = leases.renew(client);
            self.housekeeping(client, renewed)?;
        }
        connection.due = self
            .key_table
            .run_timers(now)
            .map_or(connection.heartbeat, |due| due.min(connection.heartbeat));
        Ok(())
    }

    fn lost(&self, _error: &Error) {
        self.spare.clear();
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(3)
    }

    fn down(&self, error: &Error) {
        self.key_table.down(error);
    }
}

impl Session {
    /// Decides how to lock, by looking at what the server can do.
    fn strategy(&self, client: &mut Client, watchdog: &Watchdog) -> Result<LockStrategy, Error> {
        watchdog.arm();
        probe::not_in_recovery(client, &self.address)?;
        if self.lock == PostgresLock::Lease {
            return Ok(LockStrategy::Leases(
                Leases::new(&self.table, &self.leases),
                None,
            ));
        }
        match self.probe(client, watchdog) {
            Ok(()) => {
                self.listener.start();
                probe::set_up(client, &self.address)?;
                Ok(LockStrategy::Advisory(Box::default()))
            }
            Err(error)
                if error.kind() == ErrorKind::Unsuitable && self.lock == PostgresLock::Auto =>
            {
                self.said.say(
                    |_| tracing::warn!(error = %error.chain(), "locking by lease rows instead"),
                );
                Ok(LockStrategy::Leases(
                    Leases::new(&self.table, &self.leases),
                    Some(error),
                ))
            }
            Err(error) => Err(error),
        }
    }

    /// Probes with a second session, which the listener then takes over. While the listener has its own,
    /// that one was probed already.
    fn probe(&self, client: &mut Client, watchdog: &Watchdog) -> Result<(), Error> {
        if self.listener.protocol().is_listening() {
            self.spare.leave();
            return Ok(());
        }
        let Ok(mut other) = self.address.connect(watchdog) else {
            // The server may have room for no more. Then the lock is worth more than the probe.
            self.spare.leave();
            return Ok(());
        };
        probe::session_locks_work(client, &mut other, &self.address, watchdog)?;
        watchdog.arm();
        self.spare.give(other);
        Ok(())
    }

    /// An error of one statement: an answer, unless the session itself is gone.
    pub(super) fn answerable(
        &self,
        client: &Client,
        error: ::postgres::Error,
    ) -> Result<Error, Error> {
        let gone = client.is_closed() || error.as_db_error().is_none();
        let error = self.address.error(error);
        if gone { Err(error) } else { Ok(error) }
    }

    /// What is only housekeeping may fail, as long as the session lives.
    fn housekeeping(
        &self,
        client: &Client,
        done: Result<(), ::postgres::Error>,
    ) -> Result<(), Error> {
        if let Err(error) = done {
            let error = self.answerable(client, error)?;
            tracing::debug!(error = %error.chain(), "housekeeping failed");
        }
        Ok(())
    }
}
