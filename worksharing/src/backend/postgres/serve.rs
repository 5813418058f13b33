//! What a batch of asks says to the server: one statement for each kind of ask.

use std::collections::HashSet;

use ::postgres::error::SqlState;

use super::batch::{Answer, Answers, Batch};
use super::session::{Connection, LockStrategy, Session};
use super::values::Values;
use crate::Error;
use crate::backend::link::Watchdog;

impl Session {
    /// Gives back keys and interest, and takes the keys that are free.
    pub(super) fn lock(
        &self,
        connection: &mut Connection,
        batch: &Batch,
        answers: &mut Answers,
        watchdog: &Watchdog,
    ) -> Result<(), Error> {
        let Connection {
            client,
            number,
            strategy,
            ..
        } = connection;
        watchdog.arm();
        let tries = keys(&batch.try_lock);
        let done = match strategy {
            LockStrategy::Advisory(advisory) => {
                // What an earlier session held went with it.
                let held = batch.unlock.iter().filter(|held| held.session == *number);
                let held: Vec<_> = held.map(|held| (held.key, held.interest)).collect();
                let marks = batch.unmark.iter().filter(|mark| mark.1 == *number);
                let marks: Vec<_> = marks.map(|mark| mark.0).collect();
                advisory.unmark(client, &marks).and_then(|()| {
                    if advisory.is_full() {
                        return Ok((advisory.unlock(client, &held)?, None));
                    }
                    let (all_held, tried) = advisory.unlock_and_try(client, &held, &tries)?;
                    Ok((all_held, Some(tried)))
                })
            }
            LockStrategy::Leases(leases, _) => {
                let keys: Vec<_> = batch.unlock.iter().map(|held| held.key).collect();
                let released = leases.release(client, &keys);
                released.map(|()| (true, Some(leases.take(client, &tries))))
            }
        };
        match done {
            Ok((true, Some(tried))) => self.tried(connection, batch, tried, answers),
            Ok((true, None)) => {
                self.refuse_tries(batch, answers);
                Ok(())
            }
            Ok((false, _)) => Err(self
                .address
                .unsuitable("does not hold a lock that it gave this session")),
            // A key that cannot be given back would be held for as long as the session lives.
            Err(error) => Err(self.address.error(error)),
        }
    }

    /// Shows interest. Where that does not work, waiters poll.
    pub(super) fn mark(
        &self,
        connection: &mut Connection,
        batch: &Batch,
        answers: &mut Answers,
        watchdog: &Watchdog,
    ) -> Result<(), Error> {
        if batch.mark.is_empty() {
            return Ok(());
        }
        let Connection {
            client,
            number,
            strategy,
            ..
        } = connection;
        watchdog.arm();
        let marked = match strategy {
            LockStrategy::Advisory(advisory) => advisory.mark(client, &keys(&batch.mark)),
            LockStrategy::Leases(..) => Ok(HashSet::new()),
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

    /// Answers those who tried.
    fn tried(
        &self,
        connection: &Connection,
        batch: &Batch,
        granted: Result<HashSet<i64>, ::postgres::Error>,
        answers: &mut Answers,
    ) -> Result<(), Error> {
        let Connection { client, number, .. } = connection;
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

    /// Reads values.
    pub(super) fn get(
        &self,
        connection: &mut Connection,
        batch: &Batch,
        answers: &mut Answers,
        watchdog: &Watchdog,
    ) -> Result<(), Error> {
        if batch.get.is_empty() {
            return Ok(());
        }
        let Connection { client, values, .. } = connection;
        watchdog.arm_for(Values::PATIENCE);
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

    /// Stores values.
    pub(super) fn put(
        &self,
        connection: &mut Connection,
        batch: &mut Batch,
        answers: &mut Answers,
        watchdog: &Watchdog,
    ) -> Result<(), Error> {
        let Connection { client, values, .. } = connection;
        while !batch.put.is_empty() {
            watchdog.arm_for(Values::PATIENCE);
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

    /// Says what is not as it was asked for.
    pub(super) fn check(
        &self,
        connection: &mut Connection,
        batch: &Batch,
        answers: &mut Answers,
        watchdog: &Watchdog,
    ) -> Result<(), Error> {
        let Connection {
            client,
            values,
            strategy,
            ..
        } = connection;
        for place in &batch.check_lock {
            if let LockStrategy::Leases(_, Some(reason)) = strategy {
                answers.set(*place, Err(reason.clone()));
            }
        }
        for place in &batch.check_values {
            watchdog.arm();
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
}

fn keys(indexed: &[(usize, i64)]) -> Vec<i64> {
    indexed.iter().map(|(_, key)| *key).collect()
}
