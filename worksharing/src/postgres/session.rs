use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::postgres::Client;
use ::postgres::error::SqlState;

use super::advisory::Advisory;
use super::batch::{Answer, Answers, Ask, Batch, SessionNumber};
use super::lease::Leases;
use super::listener::{Listener, Spare};
use super::probe;
use super::server::{Address, Table};
use super::values::Values;
use crate::builder::PostgresLock;
use crate::events::Seldom;
use crate::link::{Link, Pulse, Wire};
use crate::lock::postgres::Holdings;
use crate::{Error, ErrorKind};

/// The wire of the session that holds all of this process's keys, and serves its values where there is no
/// Redis.
pub(crate) struct Session {
    pub(crate) address: Arc<Address>,
    pub(crate) table: Table,
    pub(crate) lock: PostgresLock,
    pub(crate) holdings: Arc<Holdings>,
    pub(crate) listener: Link<Listener>,
    pub(crate) spare: Spare,
    pub(crate) number: AtomicU64,
    pub(crate) said: Seldom,
}

/// An open session.
pub(crate) struct Connection {
    client: Client,
    /// The server's process, or `None` where a pooler may give us another for each statement.
    backend: Option<i32>,
    number: SessionNumber,
    exclusion: Exclusion,
    values: Values,
    heartbeat: Instant,
    /// When waiters and heartbeat are looked after next.
    due: Instant,
}

/// How keys are locked here.
enum Exclusion {
    Advisory(Advisory),
    /// With the reason, where leases were not asked for.
    Leases(Leases, Option<Error>),
}

/// Well below `idle_session_timeout`, which frees the keys of a frozen process.
const HEARTBEAT: Duration = Duration::from_secs(5);

impl Wire for Session {
    type Connection = Connection;
    type Ask = Ask;
    type Answer = Answer;

    fn name(&self) -> &str {
        &self.address.name
    }

    fn connect(&self, pulse: &Pulse) -> Result<Connection, Error> {
        let mut client = self.address.connect(pulse)?;
        let exclusion = self.exclusion(&mut client, pulse)?;
        let backend = match exclusion {
            Exclusion::Advisory(_) => {
                Some(probe::backend(&mut client).map_err(|error| self.address.error(error))?)
            }
            Exclusion::Leases(..) => None,
        };
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let values = Values::new(&self.table, matches!(exclusion, Exclusion::Advisory(_)));
        self.holdings.connected();
        let due = Instant::now();
        Ok(Connection {
            client,
            backend,
            number,
            exclusion,
            values,
            heartbeat: due + HEARTBEAT,
            due,
        })
    }

    fn serve(
        &self,
        connection: &mut Connection,
        asks: &[Ask],
        pulse: &Pulse,
    ) -> Result<Vec<Result<Answer, Error>>, Error> {
        let mut answers = Answers::new(asks.len());
        let mut batch = Batch::sort(asks);
        if batch.tend || !batch.mark.is_empty() {
            connection.due = Instant::now();
        }
        // Releases first: what one caller gives back in this batch another may take in it.
        self.release(connection, &batch, pulse)?;
        self.mark(connection, &batch, &mut answers, pulse)?;
        self.try_lock(connection, &batch, &mut answers, pulse)?;
        self.get(connection, &batch, &mut answers, pulse)?;
        self.put(connection, &mut batch, &mut answers, pulse)?;
        self.check(connection, &batch, &mut answers, pulse)?;
        Ok(answers.finish())
    }

    fn due(&self, connection: &Connection) -> Instant {
        connection.due
    }

    fn tick(&self, connection: &mut Connection, pulse: &Pulse) -> Result<(), Error> {
        let now = Instant::now();
        let Connection {
            client,
            values,
            exclusion,
            ..
        } = connection;
        if connection.heartbeat <= now {
            pulse.beat();
            probe::same_session(client, connection.backend, &self.address)?;
            let swept = values.sweep(client);
            self.housekeeping(client, swept)?;
            connection.heartbeat = now + HEARTBEAT;
        }
        if let Exclusion::Leases(leases, _) = exclusion {
            pulse.beat();
            let renewed = leases.renew(client);
            self.housekeeping(client, renewed)?;
        }
        connection.due = self
            .holdings
            .tend(now)
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
        self.holdings.down(error);
    }
}

impl Session {
    /// Decides how to lock, by looking at what the server can do.
    fn exclusion(&self, client: &mut Client, pulse: &Pulse) -> Result<Exclusion, Error> {
        probe::not_in_recovery(client, &self.address)?;
        if self.lock == PostgresLock::Lease {
            return Ok(Exclusion::Leases(Leases::new(&self.table), None));
        }
        match self.probe(client, pulse) {
            Ok(()) => {
                self.listener.start();
                probe::set_up(client, &self.address)?;
                Ok(Exclusion::Advisory(Advisory::default()))
            }
            Err(error)
                if error.kind() == ErrorKind::Unsuitable && self.lock == PostgresLock::Auto =>
            {
                self.said
                    .say(|_| tracing::warn!(%error, "locking by lease rows instead"));
                Ok(Exclusion::Leases(Leases::new(&self.table), Some(error)))
            }
            Err(error) => Err(error),
        }
    }

    /// Probes with a second session, which the listener then takes over. While the listener has its own,
    /// that one was probed already.
    fn probe(&self, client: &mut Client, pulse: &Pulse) -> Result<(), Error> {
        if self.listener.wire().is_listening() {
            return Ok(());
        }
        let mut other = self.address.connect(pulse)?;
        probe::session_locks_work(client, &mut other, &self.address)?;
        self.spare.give(other);
        Ok(())
    }

    fn release(
        &self,
        connection: &mut Connection,
        batch: &Batch,
        pulse: &Pulse,
    ) -> Result<(), Error> {
        let Connection {
            client,
            number,
            exclusion,
            ..
        } = connection;
        pulse.beat();
        let released = match exclusion {
            Exclusion::Advisory(advisory) => {
                // What an earlier session held went with it.
                let held = batch.unlock.iter().filter(|held| held.session == *number);
                let held: Vec<_> = held.map(|held| (held.key, held.interest)).collect();
                let marks = batch.unmark.iter().filter(|mark| mark.1 == *number);
                let marks: Vec<_> = marks.map(|mark| mark.0).collect();
                Advisory::unlock(client, &held)
                    .and_then(|all_held| advisory.unmark(client, &marks).map(|()| all_held))
            }
            Exclusion::Leases(leases, _) => {
                let keys: Vec<_> = batch.unlock.iter().map(|held| held.key).collect();
                leases.release(client, &keys).map(|()| true)
            }
        };
        match released {
            Ok(true) => Ok(()),
            Ok(false) => Err(self
                .address
                .unsuitable("does not hold a lock that it gave this session")),
            // A key that cannot be given back would be held for as long as the session lives.
            Err(error) => Err(self.address.error(error)),
        }
    }

    fn mark(
        &self,
        connection: &mut Connection,
        batch: &Batch,
        answers: &mut Answers,
        pulse: &Pulse,
    ) -> Result<(), Error> {
        if batch.mark.is_empty() {
            return Ok(());
        }
        let Connection {
            client,
            number,
            exclusion,
            ..
        } = connection;
        pulse.beat();
        let marked = match exclusion {
            Exclusion::Advisory(advisory) => advisory.mark(client, &keys(&batch.mark)),
            Exclusion::Leases(..) => Ok(HashSet::new()),
        };
        let marked =
            marked.or_else(|error| self.answerable(client, error).map(|_| HashSet::new()))?;
        for (place, interest) in &batch.mark {
            let is_marked = marked.contains(interest);
            answers.set(
                *place,
                Ok(if is_marked {
                    Answer::Marked(*number)
                } else {
                    Answer::Unmarked
                }),
            );
        }
        Ok(())
    }

    fn try_lock(
        &self,
        connection: &mut Connection,
        batch: &Batch,
        answers: &mut Answers,
        pulse: &Pulse,
    ) -> Result<(), Error> {
        if batch.try_lock.is_empty() {
            return Ok(());
        }
        let Connection {
            client,
            number,
            exclusion,
            ..
        } = connection;
        pulse.beat();
        let granted = match exclusion {
            Exclusion::Advisory(advisory) if advisory.is_full() => {
                self.refuse_tries(batch, answers);
                return Ok(());
            }
            Exclusion::Advisory(advisory) => advisory.try_lock(client, &keys(&batch.try_lock)),
            Exclusion::Leases(leases, _) => leases.take(client, &keys(&batch.try_lock)),
        };
        let granted = match granted {
            Ok(granted) => Ok(granted),
            Err(error) => Err(self.answerable(client, error)?),
        };
        for (place, key) in &batch.try_lock {
            answers.set(
                *place,
                match &granted {
                    Ok(granted) if granted.contains(key) => Ok(Answer::Granted(*number)),
                    Ok(_) => Ok(Answer::Busy),
                    Err(error) => Err(error.clone()),
                },
            );
        }
        Ok(())
    }

    fn refuse_tries(&self, batch: &Batch, answers: &mut Answers) {
        let error = Error::unavailable(format!(
            "the lock table of {} is full: raise max_locks_per_transaction there, or lower \
             Builder::max_held_keys",
            self.address.name
        ));
        for (place, _) in &batch.try_lock {
            answers.set(*place, Err(error.clone()));
        }
    }

    fn get(
        &self,
        connection: &mut Connection,
        batch: &Batch,
        answers: &mut Answers,
        pulse: &Pulse,
    ) -> Result<(), Error> {
        if batch.get.is_empty() {
            return Ok(());
        }
        let Connection { client, values, .. } = connection;
        pulse.beat_for(Values::PATIENCE);
        let keys: Vec<&str> = batch.get.iter().map(|(_, key)| key.as_str()).collect();
        let found = match values.get(client, &keys) {
            Ok(found) => Ok(found),
            Err(error) => Err(self.answerable(client, error)?),
        };
        for (place, key) in &batch.get {
            let answer = found
                .as_ref()
                .map(|found| Answer::Found(found.get(key).cloned()));
            answers.set(*place, answer.map_err(Clone::clone));
        }
        Ok(())
    }

    fn put(
        &self,
        connection: &mut Connection,
        batch: &mut Batch,
        answers: &mut Answers,
        pulse: &Pulse,
    ) -> Result<(), Error> {
        let Connection { client, values, .. } = connection;
        while !batch.put.is_empty() {
            pulse.beat_for(Values::PATIENCE);
            let puts = batch.next_puts();
            let stored =
                match values.put(client, &puts.iter().map(|(_, put)| put).collect::<Vec<_>>()) {
                    Ok(stored) => Ok(stored.into_iter().collect::<HashSet<_>>()),
                    Err(error) => Err(self.answerable(client, error)?),
                };
            for (place, put) in &puts {
                let answer = stored
                    .as_ref()
                    .map(|stored| Answer::Stored(stored.contains(&put.key)));
                answers.set(*place, answer.map_err(Clone::clone));
            }
        }
        Ok(())
    }

    fn check(
        &self,
        connection: &mut Connection,
        batch: &Batch,
        answers: &mut Answers,
        pulse: &Pulse,
    ) -> Result<(), Error> {
        let Connection {
            client,
            values,
            exclusion,
            ..
        } = connection;
        for place in &batch.check_lock {
            if let Exclusion::Leases(_, Some(reason)) = exclusion {
                answers.set(*place, Err(reason.clone()));
            }
        }
        for place in &batch.check_values {
            pulse.beat();
            if let Err(error) = values.check(client) {
                let missing_right = error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE);
                let mut error = self.answerable(client, error)?;
                if missing_right {
                    let sql = values.creation();
                    error = self.address.unsuitable(&format!(
                        "does not let this role make its table of values: have somebody who may run\n{sql};\nand \
                         GRANT SELECT, INSERT, UPDATE, DELETE on it, or set another table with `.table(…)`"
                    ));
                }
                answers.set(*place, Err(error));
            }
        }
        Ok(())
    }

    /// An error of one statement: an answer, unless the session itself is gone.
    fn answerable(&self, client: &Client, error: ::postgres::Error) -> Result<Error, Error> {
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
            tracing::debug!(%error, "housekeeping failed");
        }
        Ok(())
    }
}

fn keys(indexed: &[(usize, i64)]) -> Vec<i64> {
    indexed.iter().map(|(_, key)| *key).collect()
}
