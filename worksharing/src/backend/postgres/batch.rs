use std::collections::HashMap;

use bytes::Bytes;

use super::values::Put;
use crate::Error;

/// Which of this process's sessions, one after another, something was done in.
pub(crate) type SessionNumber = u64;

/// What is asked of the session. Keys are lock keys and interest keys.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Take this lock, if it is free.
    Try(i64),
    /// Release a lock, and wake those who wait for it.
    Unlock(Held),
    /// Show interest.
    Mark(i64),
    /// Show it no more.
    Unmark {
        interest: i64,
        session: SessionNumber,
    },
    /// Read a value.
    Get(String),
    /// Store a value, fenced by what was seen, if anything was.
    Put(Put),
    /// Look after those who queue in this process.
    RunTimers,
    /// Say whether locks are what was asked for.
    CheckLock,
    /// Make sure that values can be stored.
    CheckValues,
}

/// A lock that is given back, its interest key, and the session that took it: another session that holds the
/// same key meanwhile keeps it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) key: i64,
    pub(crate) interest: i64,
    pub(crate) session: SessionNumber,
}

#[derive(Debug)]
pub(crate) enum Answer {
    Granted(SessionNumber),
    Busy,
    Marked(SessionNumber),
    /// Interest could not be shown: only polling notices a release.
    Unmarked,
    Found(Option<Bytes>),
    Stored(bool),
    Done,
}

/// The asks of a batch by kind, those that want an answer with their place in it.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) unlock: Vec<Held>,
    pub(crate) unmark: Vec<(i64, SessionNumber)>,
    pub(crate) mark: Vec<(usize, i64)>,
    pub(crate) try_lock: Vec<(usize, i64)>,
    pub(crate) get: Vec<(usize, String)>,
    pub(crate) put: Vec<(usize, Put)>,
    pub(crate) run_timers: bool,
    pub(crate) check_lock: Vec<usize>,
    pub(crate) check_values: Vec<usize>,
}

impl Batch {
    pub(crate) fn sort(asks: &[Ask]) -> Self {
        let mut batch = Self::default();
        for (place, ask) in asks.iter().enumerate() {
            match ask {
                Ask::Unlock(held) => batch.unlock.push(*held),
                Ask::Unmark { interest, session } => batch.unmark.push((*interest, *session)),
                Ask::Mark(interest) => batch.mark.push((place, *interest)),
                Ask::Try(key) => batch.try_lock.push((place, *key)),
                Ask::Get(key) => batch.get.push((place, key.clone())),
                Ask::Put(put) => batch.put.push((place, put.clone())),
                Ask::RunTimers => batch.run_timers = true,
                Ask::CheckLock => batch.check_lock.push(place),
                Ask::CheckValues => batch.check_values.push(place),
            }
        }
        batch
    }

    /// Takes the next puts that fit into one statement: no key twice, and not too many bytes.
    pub(crate) fn next_puts(&mut self) -> Vec<(usize, Put)> {
        const BYTES: usize = 16 << 20;
        let mut bytes = 0;
        let mut taken = HashMap::new();
        let end = self.put.iter().position(|(place, put)| {
            bytes += put.entry.len();
            let again = taken.insert(put.key.clone(), *place).is_some();
            again || (bytes > BYTES && taken.len() > 1)
        });
        let rest = self.put.split_off(end.unwrap_or(self.put.len()));
        std::mem::replace(&mut self.put, rest)
    }
}

/// The answers of a batch, each in its place. An ask without one is simply done.
pub(crate) struct Answers(Vec<Option<Result<Answer, Error>>>);

impl Answers {
    pub(crate) fn new(number: usize) -> Self {
        Self((0..number).map(|_| None).collect())
    }

    pub(crate) fn set(&mut self, place: usize, answer: Result<Answer, Error>) {
        self.0[place] = Some(answer);
    }

    pub(crate) fn finish(self) -> Vec<Result<Answer, Error>> {
        self.0
            .into_iter()
            .map(|answer| answer.unwrap_or(Ok(Answer::Done)))
            .collect()
    }
}
