//! What a batch asks about the outbox.

use ::postgres::Error as PostgresError;
use ::postgres::error::SqlState;

use super::{OutboxAnswer, OutboxAsk};
use crate::Error;
use crate::backend::postgres::session::Connection;
use crate::backend::postgres::session::batch::{Answer, Batch};
use crate::backend::postgres::session::serve::Round;

impl Round<'_> {
    /// What is asked about the outbox, once it is there.
    pub(in super::super) fn outbox(&mut self, batch: &Batch<'_>) -> Result<(), Error> {
        for (place, ask) in &batch.outbox {
            let answer = match self.look_at_outbox_for(ask)? {
                Err(error) => Err(error),
                Ok(()) => self.of_outbox(ask)?,
            };
            self.answers.set(*place, answer.map(Answer::Outbox));
        }
        Ok(())
    }

    fn of_outbox(&mut self, ask: &OutboxAsk) -> Result<Result<OutboxAnswer, Error>, Error> {
        let Some(outbox) = &mut self.connection.outbox else {
            return Ok(Ok(OutboxAnswer::Done));
        };
        if let OutboxAsk::Lay { store, entries } = ask {
            let due = outbox.names.due();
            let laid = self.of_values(|values, client| values.lay(client, &due, store, entries))?;
            return Ok(laid.map(|_| OutboxAnswer::Done));
        }
        self.watchdog.arm();
        let answer = outbox.serve(&mut self.connection.client, ask);
        let code = answer.as_ref().err().and_then(PostgresError::code);
        self.outbox_may_be_gone(code);
        self.settle(answer)
    }

    /// Looks and puts go by what is pending, once the tables are there. Where they cannot be, values are used without.
    pub(in super::super) fn look_at_outbox(&mut self) -> Result<(), Error> {
        self.look_at_outbox_for(&OutboxAsk::Last(String::new()))
            .map(drop)
    }

    fn look_at_outbox_for(&mut self, ask: &OutboxAsk) -> Result<Result<(), Error>, Error> {
        self.watchdog.arm();
        let Connection {
            client,
            outbox: Some(outbox),
            values,
            ..
        } = &mut *self.connection
        else {
            return Ok(Ok(()));
        };
        let lacks = match ask {
            OutboxAsk::Check => outbox.check(client),
            _ => outbox.ensure(client),
        };
        values.go_by(outbox.pending());
        let lacks = self.settle(lacks)?;
        Ok(lacks.and_then(|lacks| match lacks {
            Some(lacks) => Err(self.session.address.unsuitable(&lacks)),
            None => Ok(()),
        }))
    }

    pub(in super::super) fn outbox_may_be_gone(&mut self, code: Option<&SqlState>) {
        if let Some(outbox) = &mut self.connection.outbox
            && code == Some(&SqlState::UNDEFINED_TABLE)
        {
            outbox.is_gone();
        }
    }
}
