//! What a batch of asks says to the server: one statement for each kind of ask.

use std::collections::HashSet;

use ::postgres::Error as PostgresError;

use super::batch::{Answer, Answers, Batch};
use super::strategy::{LockStrategy, Tried};
use super::values::Values;
use super::{Connection, Session};
use crate::Error;
use crate::backend::link::Watchdog;

/// A batch that is being served.
pub(super) struct Round<'a> {
    pub(super) session: &'a Session,
    pub(super) connection: &'a mut Connection,
    pub(super) watchdog: &'a Watchdog,
    pub(super) answers: Answers,
}

impl Round<'_> {
    pub(super) fn serve(&mut self, mut batch: Batch<'_>) -> Result<(), Error> {
        self.lock(&batch)?;
        self.mark(&batch)?;
        self.get(&batch)?;
        while !batch.put.is_empty() {
            self.put(&mut batch)?;
        }
        self.check(&batch)
    }

    /// What a statement gave; its error is an answer, unless the session itself is gone.
    fn settle<T>(&self, done: Result<T, PostgresError>) -> Result<Result<T, Error>, Error> {
        self.session.settle(&self.connection.client, done)
    }

    /// Gives back keys and interest, and takes the keys that are free.
    fn lock(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        self.watchdog.arm();
        let Connection {
            client,
            number,
            strategy,
            ..
        } = &mut *self.connection;
        let number = *number;
        let address = &self.session.address;
        let tried = strategy.release_and_try(client, number, batch);
        // A key that cannot be given back would be held for as long as the session lives.
        let granted = match tried.map_err(|error| address.error(error))? {
            Tried::Granted(granted) => Ok(granted),
            Tried::Failed(error) => self.settle(Err(error))?,
            Tried::Full => Err(Error::unavailable(format!(
                "the lock table of {} is full: raise max_locks_per_transaction there, or lower \
                 Builder::max_held_keys",
                address.name
            ))),
            Tried::NotOurs => {
                let what = "does not hold a lock that it gave this session";
                return Err(address.unsuitable(what));
            }
        };
        for (place, asked) in &batch.try_lock {
            let answer = match &granted {
                Ok(granted) if granted.contains(&asked.lock) => Ok(Answer::Granted(number)),
                Ok(_) => Ok(Answer::Busy),
                Err(error) => Err(error.clone()),
            };
            self.answers.set(*place, answer);
        }
        Ok(())
    }

    /// Shows interest, once somebody listens. Where that does not work, waiters poll.
    fn mark(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        if batch.mark.is_empty() {
            return Ok(());
        }
        let is_heard = self.session.key_table.is_heard();
        let interests: Vec<i64> = batch.mark.iter().map(|(_, interest)| *interest).collect();
        self.watchdog.arm();
        let Connection {
            client, strategy, ..
        } = &mut *self.connection;
        let (marked, unmarked) = match strategy {
            LockStrategy::Advisory(advisory) if is_heard => {
                (advisory.mark(client, &interests), Answer::Unmarked)
            }
            LockStrategy::Advisory(_) => (Ok(HashSet::new()), Answer::Unheard),
            LockStrategy::Leases(..) => (Ok(HashSet::new()), Answer::Unmarked),
        };
        let marked = self.settle(marked)?.unwrap_or_default();
        for (place, interest) in &batch.mark {
            let answer = if marked.contains(interest) {
                Answer::Marked(self.connection.number)
            } else if matches!(unmarked, Answer::Unheard) {
                Answer::Unheard
            } else {
                Answer::Unmarked
            };
            self.answers.set(*place, Ok(answer));
        }
        Ok(())
    }

    /// A statement about values, unless they are left alone for now.
    fn of_values<T>(
        &mut self,
        statement: impl FnOnce(&mut Values, &mut ::postgres::Client) -> Result<T, PostgresError>,
    ) -> Result<Result<T, Error>, Error> {
        if let Some(error) = self.connection.values.paused() {
            return Ok(Err(error));
        }
        self.watchdog.arm_for(Values::PATIENCE);
        let Connection { client, values, .. } = &mut *self.connection;
        let done = statement(values, client);
        let code = done.as_ref().err().and_then(|error| error.code().cloned());
        let creation = values.creation();
        let done = self.session.settle_table(client, done, creation)?;
        if let Err(error) = &done {
            self.connection.values.pause_after(code.as_ref(), error);
        }
        Ok(done)
    }

    /// Reads values: a key that several ask for is read once.
    fn get(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        if batch.get.is_empty() {
            return Ok(());
        }
        let (keys, most) = batch.wanted();
        let found = self.of_values(|values, client| values.get(client, &keys, most))?;
        for (place, keys, look) in &batch.get {
            let answer = match &found {
                Ok(found) => {
                    let stored = |key| found.get(key).map(|found| found.stored(*look));
                    Ok(Answer::Found(keys.iter().map(stored).collect()))
                }
                Err(error) => Err(error.clone()),
            };
            self.answers.set(*place, answer);
        }
        Ok(())
    }

    /// Stores the next values.
    fn put(&mut self, batch: &mut Batch<'_>) -> Result<(), Error> {
        let puts = batch.next_puts();
        let all: Vec<_> = puts.iter().map(|(_, put)| *put).collect();
        let stored = self.of_values(|values, client| values.put(client, &all))?;
        let stored = stored.map(|keys| keys.into_iter().collect::<HashSet<_>>());
        for (place, put) in &puts {
            let answer = match &stored {
                Ok(stored) => Ok(Answer::Stored(stored.contains(&put.key))),
                Err(error) => Err(error.clone()),
            };
            self.answers.set(*place, answer);
        }
        Ok(())
    }

    /// Says what is not as it was asked for.
    fn check(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        for place in &batch.check_lock {
            if let Err(error) = self.check_lock()? {
                self.answers.set(*place, Err(error));
            }
        }
        for (place, key) in &batch.check_values {
            let checked = self.of_values(|values, client| values.check(client, key))?;
            let unsuitable = |what| Err(self.session.address.unsuitable(what));
            let checked = checked.and_then(|what| what.map_or(Ok(()), unsuitable));
            self.answers.set(*place, checked.map(|()| Answer::Done));
        }
        Ok(())
    }

    /// Session locks were tried when the session began.
    fn check_lock(&mut self) -> Result<Result<(), Error>, Error> {
        self.watchdog.arm();
        let Connection {
            client, strategy, ..
        } = &mut *self.connection;
        let LockStrategy::Leases(leases, reason) = strategy else {
            return Ok(Ok(()));
        };
        let checked = leases.check(client);
        let checked = self
            .session
            .settle_table(client, checked, leases.creation())?;
        Ok(checked.and(reason.clone().map_or(Ok(()), Err)))
    }
}
