use std::collections::HashSet;

use ::postgres::Client;

use super::advisory::Advisory;
use super::batch::Batch;
use super::lease::Leases;
use crate::Error;
use crate::backend::postgres::lock::{Asked, SessionNumber};

/// How keys are locked here.
pub(super) enum LockStrategy {
    Advisory(Box<Advisory>),
    /// With the reason, where leases were not asked for.
    Leases(Box<Leases>, Option<Error>),
}

/// What became of tries.
pub(super) enum Tried {
    /// These were free.
    Granted(HashSet<i64>),
    Failed(::postgres::Error),
    /// The lock table is full.
    Full,
    /// What the session should have held it did not.
    NotOurs,
}

impl LockStrategy {
    /// Gives back keys and interest, then takes the keys that are free: what one caller gives back in a batch
    /// another may take in it.
    pub(super) fn release_and_try(
        &mut self,
        client: &mut Client,
        session: SessionNumber,
        batch: &Batch<'_>,
    ) -> Result<Tried, ::postgres::Error> {
        let tries: Vec<Asked> = batch.try_lock.iter().map(|(_, asked)| *asked).collect();
        match self {
            Self::Advisory(advisory) => {
                // What an earlier session held went with it.
                let marks = batch.unmark.iter().filter(|mark| mark.1 == session);
                advisory.unmark(client, &marks.map(|mark| mark.0).collect::<Vec<_>>())?;
                let held = batch.unlock.iter().filter(|held| held.session == session);
                let held: Vec<_> = held.map(|held| (held.asked.lock, held.interest)).collect();
                let is_full = advisory.is_full();
                let tries = tries.iter().map(|asked| asked.lock);
                let tries: Vec<i64> = tries.filter(|_| !is_full).collect();
                Ok(match advisory.unlock_and_try(client, &held, &tries)? {
                    (false, _) => Tried::NotOurs,
                    (true, _) if is_full => Tried::Full,
                    (true, granted) => Tried::of(granted),
                })
            }
            Self::Leases(leases, _) => {
                let held: Vec<_> = batch.unlock.iter().map(|held| held.asked).collect();
                // What cannot be given back now is given back with the next renewal.
                match leases.release(client, &held) {
                    Err(error) if error.as_db_error().is_none() => Err(error),
                    _ => Ok(Tried::of(leases.take(client, &tries))),
                }
            }
        }
    }

    /// The SQL that makes the table that is needed, if one is.
    pub(super) fn creation(&self) -> &str {
        match self {
            Self::Advisory(_) => "",
            Self::Leases(leases, _) => leases.creation(),
        }
    }

    /// Those of the keys that are free. They are not taken.
    pub(super) fn free(
        &self,
        client: &mut Client,
        keys: &[i64],
    ) -> Result<Vec<i64>, ::postgres::Error> {
        match self {
            Self::Advisory(advisory) => advisory.free(client, keys),
            Self::Leases(leases, _) => leases.free(client, keys),
        }
    }
}

impl Tried {
    fn of(granted: Result<HashSet<i64>, ::postgres::Error>) -> Self {
        granted.map_or_else(Self::Failed, Self::Granted)
    }
}
