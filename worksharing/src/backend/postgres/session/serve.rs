//! What a batch of asks says to the server: one statement for each kind of ask.

use std::collections::HashSet;

use ::postgres::Error as PostgresError;

use super::batch::{Answer, Answers, Batch, Wanted};
use super::board::BoardTable;
use super::strategy::LockStrategy;
use super::values::Values;
use super::{Connection, Session};
use crate::Error;
use crate::backend::link::Watchdog;
use crate::computing::Notice;

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
        self.keep(&batch)?;
        self.outbox(&batch)?;
        self.tell(&batch)?;
        self.post(&batch)?;
        self.computing(&batch)?;
        self.check(&batch)
    }

    /// What a statement gave; its error is an answer, unless the session itself is gone.
    pub(super) fn settle<T>(
        &self,
        done: Result<T, PostgresError>,
    ) -> Result<Result<T, Error>, Error> {
        self.session.settle(&self.connection.client, done)
    }

    /// Answers those who wait for what was done for all of them.
    fn answer<T>(
        &mut self,
        place: usize,
        done: &Result<T, Error>,
        answer: impl FnOnce(&T) -> Answer,
    ) {
        let answer = done.as_ref().map(answer).map_err(Clone::clone);
        self.answers.set(place, answer);
    }

    /// Gives back keys and interest, and takes the keys that are free.
    fn lock(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        self.watchdog.arm();
        let granted = self.session.take(self.connection, batch)?;
        let session = self.connection.number;
        for (place, asked) in &batch.try_lock {
            self.answer(*place, &granted, |granted| {
                if granted.contains(&asked.lock) {
                    Answer::Granted(session)
                } else {
                    Answer::Busy
                }
            });
        }
        Ok(())
    }

    /// Shows interest, once somebody listens. Where that does not work, waiters poll.
    fn mark(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        if batch.mark.is_empty() {
            return Ok(());
        }
        // One that is about to end goes on, or begins anew and has everybody look.
        self.session.listen();
        let is_heard = self.session.key_table.is_heard();
        let interests: Vec<i64> = batch.mark.iter().map(|(_, interest)| *interest).collect();
        self.watchdog.arm();
        let Connection {
            client, strategy, ..
        } = &mut *self.connection;
        let marked = match strategy {
            LockStrategy::Advisory(advisory) if is_heard => advisory.mark(client, &interests),
            _ => Ok(HashSet::new()),
        };
        let nobody_listens = matches!(strategy, LockStrategy::Advisory(_)) && !is_heard;
        let marked = self.settle(marked)?.unwrap_or_default();
        for (place, interest) in &batch.mark {
            let answer = match marked.contains(interest) {
                true => Answer::Marked(self.connection.number),
                false if nobody_listens => Answer::Unheard,
                false => Answer::Unmarked,
            };
            self.answers.set(*place, Ok(answer));
        }
        Ok(())
    }

    /// A statement about values, unless they are left alone for now.
    pub(super) fn of_values<T>(
        &mut self,
        statement: impl FnOnce(&mut Values, &mut ::postgres::Client) -> Result<T, PostgresError>,
    ) -> Result<Result<T, Error>, Error> {
        if let Some(error) = self.connection.values.paused() {
            return Ok(Err(error));
        }
        self.watchdog
            .arm_while_moving(Values::SILENCE, Values::PATIENCE);
        let Connection { client, values, .. } = &mut *self.connection;
        let done = statement(values, client);
        let code = done.as_ref().err().and_then(|error| error.code().cloned());
        let creation = values.creation();
        let done = self.session.settle_table(client, done, creation)?;
        if let Err(error) = &done {
            self.connection.values.pause_after(code.as_ref(), error);
            self.outbox_may_be_gone(code.as_ref());
        }
        Ok(done)
    }

    /// Reads values: a key that several ask for is read once.
    fn get(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        if batch.get.is_empty() {
            return Ok(());
        }
        let (keys, most) = batch.wanted();
        let texts = batch.texts();
        if !texts.is_empty() {
            self.look_at_outbox()?;
        }
        let found = self.of_values(|values, client| values.get(client, &keys, most, &texts))?;
        for (place, keys, look) in &batch.get {
            self.answer(*place, &found, |found| {
                let stored = |wanted: &Wanted| {
                    let found = found.get(&wanted.key)?;
                    Some(found.stored(*look))
                };
                Answer::Found(keys.iter().map(stored).collect())
            });
        }
        Ok(())
    }

    /// Stores the next values.
    fn put(&mut self, batch: &mut Batch<'_>) -> Result<(), Error> {
        let puts = batch.next_puts();
        let all: Vec<_> = puts.iter().map(|(_, put)| *put).collect();
        let stored = self.of_values(|values, client| values.put(client, &all))?;
        for (place, put) in &puts {
            self.answer(*place, &stored, |stored| {
                Answer::Stored(stored.contains(&put.key))
            });
        }
        Ok(())
    }

    /// Keeps values for longer.
    fn keep(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        if batch.keep.is_empty() {
            return Ok(());
        }
        let keys = batch.kept();
        let kept = self.of_values(|values, client| values.keep(client, &keys))?;
        for (place, ..) in &batch.keep {
            self.answer(*place, &kept, |()| Answer::Done);
        }
        Ok(())
    }

    /// Tells other processes of changes, all at once.
    fn tell(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        if batch.tell.is_empty() {
            return Ok(());
        }
        let digests = batch.tell.iter().flat_map(|(_, digests)| *digests);
        let digests = digests.copied().collect();
        self.watchdog.arm();
        let Connection { client, teller, .. } = &mut *self.connection;
        let told = teller.tell(client, digests);
        let told = self.settle(told)?;
        for (place, _) in &batch.tell {
            self.answer(*place, &told, |()| Answer::Done);
        }
        Ok(())
    }

    /// Tells others what is computed, and what is not any more. Nobody waits for that, and it may fail.
    fn post(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        let (publish, withdraw) = (&batch.publish, &batch.withdraw);
        if (publish.is_empty() && withdraw.is_empty()) || self.connection.board.paused().is_some() {
            return Ok(());
        }
        // Of a key that is asked for again in the same batch, what came last is there.
        let held = publish.iter().map(|notice| (*notice, self.holder(notice)));
        let held = held.filter_map(|(notice, holder)| Some((notice, holder?)));
        let mut published: Vec<_> = held.collect();
        published.reverse();
        published.sort_by_key(|(notice, _)| notice.key.lock_key());
        published.dedup_by_key(|(notice, _)| notice.key.lock_key());
        let done = self.of_board(|board, client| board.write(client, &published, withdraw))?;
        if let Err(error) = done {
            tracing::debug!(error = %error.chain(), "housekeeping failed");
        }
        Ok(())
    }

    /// The number by which this process holds a key.
    fn holder(&self, notice: &Notice) -> Option<i64> {
        match self.connection.strategy {
            LockStrategy::Advisory(_) => self.connection.backend.map(i64::from),
            LockStrategy::Leases(..) => {
                let key_table = &self.session.key_table;
                key_table.nonce_of(notice.key.lock_key())
            }
        }
    }

    /// Says what is computed.
    fn computing(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        for (place, keys) in &batch.computing {
            let read = match self.connection.board.held_up() {
                Some(error) => Err(error),
                None => self.of_board(|board, client| board.read(client, keys))?,
            };
            self.answers.set(*place, read.map(Answer::Posted));
        }
        Ok(())
    }

    /// A statement about the table of what is computed.
    fn of_board<T>(
        &mut self,
        statement: impl FnOnce(&mut BoardTable, &mut ::postgres::Client) -> Result<T, PostgresError>,
    ) -> Result<Result<T, Error>, Error> {
        self.watchdog.arm();
        let Connection { client, board, .. } = &mut *self.connection;
        let done = statement(board, client);
        let creation = board.creation();
        let done = self.session.settle_table(client, done, &creation)?;
        self.connection.board.pause_after(done.as_ref().err());
        Ok(done)
    }

    /// Says what is not as it was asked for.
    fn check(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        for place in &batch.check_lock {
            if let Err(error) = self.check_lock()? {
                self.answers.set(*place, Err(error));
            }
        }
        for place in &batch.check_board {
            let checked = self.of_board(BoardTable::check)?;
            self.answers.set(*place, checked.map(|()| Answer::Done));
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
