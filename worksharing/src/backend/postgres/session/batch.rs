use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;

use super::outbox::{OutboxAnswer, OutboxAsk};
use super::pending::Texts;
use crate::Error;
use crate::backend::postgres::lock::{Asked, Held, SessionNumber};
use crate::changes::Digest;
use crate::computing::{Notice, Posted};
use crate::outbox::Text;
use crate::store::{Fence, Look, Stored};

/// What is asked of the session. Keys are lock keys and interest keys.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Take this lock, if it is free.
    Try(Asked),
    /// Release a lock, and wake those who wait for it.
    Unlock(Held),
    /// Show interest.
    Mark(i64),
    /// Show it no more.
    Unmark {
        interest: i64,
        session: SessionNumber,
    },
    /// Read values.
    Get(Vec<Wanted>, Look),
    /// Store a value, fenced by what was seen, if anything was.
    Put(Put),
    /// Keep what stands under these keys for at least so long.
    Keep(Vec<String>, Duration),
    /// Something about the outbox.
    Outbox(OutboxAsk),
    /// Tell other processes that these have changed.
    Tell(Vec<Digest>),
    /// Tell other processes of computations that last.
    Publish(Vec<Notice>),
    /// One of them has ended.
    Withdraw(Notice),
    /// Say what is being computed, and how many wait for these keys.
    Computing(Vec<i64>),
    /// Look after those who queue in this process.
    RunTimers,
    /// Nothing: what was asked before is done when this is answered.
    Flush,
    /// Say whether locks are what was asked for.
    CheckLock,
    /// Make sure that it can be told what is computed.
    CheckBoard,
    /// Make sure that values can be stored, by storing one under this key.
    CheckValues(String),
}

/// What is to be stored under a key, and over what: `None` is over anything.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    pub(crate) key: String,
    pub(crate) entry: Bytes,
    pub(crate) ttl: Duration,
    pub(crate) fence: Option<Fence>,
    /// What the key is made of, if it matters whether that is pending.
    pub(crate) text: Option<Text>,
}

/// A key that is read.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) key: String,
    /// What it is made of, if it matters whether that is pending.
    pub(crate) text: Option<Text>,
}

#[derive(Debug)]
pub(crate) enum Answer {
    Granted(SessionNumber),
    Busy,
    Marked(SessionNumber),
    /// Interest could not be shown: only polling notices a release.
    Unmarked,
    /// Nobody listens yet, so interest is not shown.
    Unheard,
    Found(Vec<Option<Stored>>),
    Stored(bool),
    Outbox(OutboxAnswer),
    Posted(Posted),
    Done,
}

/// The asks of a batch by kind, those that want an answer with their place in it.
#[derive(Default)]
pub(super) struct Batch<'a> {
    pub(super) unlock: Vec<Held>,
    pub(super) unmark: Vec<(i64, SessionNumber)>,
    pub(super) mark: Vec<(usize, i64)>,
    pub(super) try_lock: Vec<(usize, Asked)>,
    pub(super) get: Vec<(usize, &'a [Wanted], Look)>,
    pub(super) put: Vec<(usize, &'a Put)>,
    pub(super) keep: Vec<(usize, &'a [String], Duration)>,
    pub(super) outbox: Vec<(usize, &'a OutboxAsk)>,
    pub(super) tell: Vec<(usize, &'a [Digest])>,
    pub(super) publish: Vec<&'a Notice>,
    pub(super) withdraw: Vec<&'a Notice>,
    pub(super) computing: Vec<(usize, &'a [i64])>,
    pub(super) run_timers: bool,
    pub(super) check_lock: Vec<usize>,
    pub(super) check_board: Vec<usize>,
    pub(super) check_values: Vec<(usize, &'a str)>,
}

impl<'a> Batch<'a> {
    pub(super) fn sort(asks: &'a [Ask]) -> Self {
        let mut batch = Self::default();
        for (place, ask) in asks.iter().enumerate() {
            match ask {
                Ask::Unlock(held) => batch.unlock.push(*held),
                Ask::Unmark { interest, session } => batch.unmark.push((*interest, *session)),
                Ask::Mark(interest) => batch.mark.push((place, *interest)),
                Ask::Try(asked) => batch.try_lock.push((place, *asked)),
                Ask::Get(keys, look) => batch.get.push((place, keys, *look)),
                Ask::Put(put) => batch.put.push((place, put)),
                Ask::Keep(keys, ttl) => batch.keep.push((place, keys, *ttl)),
                Ask::Outbox(ask) => batch.outbox.push((place, ask)),
                Ask::Tell(digests) => batch.tell.push((place, digests)),
                Ask::Publish(notices) => batch.publish.extend(notices),
                Ask::Withdraw(notice) => batch.withdraw.push(notice),
                Ask::Computing(keys) => batch.computing.push((place, keys)),
                Ask::RunTimers => batch.run_timers = true,
                Ask::Flush => (),
                Ask::CheckLock => batch.check_lock.push(place),
                Ask::CheckBoard => batch.check_board.push(place),
                Ask::CheckValues(key) => batch.check_values.push((place, key)),
            }
        }
        batch
    }

    /// The keys that are asked for, each once however many ask for it, and the most bytes of one that are wanted.
    pub(super) fn wanted(&self) -> (Vec<&'a str>, usize) {
        let all = self.get.iter().flat_map(|(_, keys, _)| keys.iter());
        let mut keys: Vec<&str> = all.map(|wanted| &*wanted.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let most = self.get.iter().map(|(_, _, look)| look.max_bytes).max();
        (keys, most.unwrap_or_default())
    }

    /// The texts of those of these keys for which it matters, each once.
    pub(super) fn texts(&self) -> Texts<'a> {
        let all = self.get.iter().flat_map(|(_, keys, _)| keys.iter());
        let with_text = all.filter_map(|wanted| Some((&*wanted.key, wanted.text.as_ref()?)));
        let each: BTreeMap<_, _> = with_text.collect();
        each.into_iter().collect()
    }

    /// The keys that are to be kept, each once and for the longest time that it is asked for.
    pub(super) fn kept(&self) -> Vec<(&'a str, Duration)> {
        let mut kept = BTreeMap::new();
        for (_, keys, ttl) in &self.keep {
            for key in *keys {
                let longest: &mut Duration = kept.entry(key.as_str()).or_default();
                *longest = (*longest).max(*ttl);
            }
        }
        kept.into_iter().collect()
    }

    /// Takes the next puts that fit into one statement: no key twice, and not too many bytes.
    pub(super) fn next_puts(&mut self) -> Vec<(usize, &'a Put)> {
        const BYTES: usize = 16 << 20;
        let mut bytes = 0;
        let mut taken = HashMap::new();
        let end = self.put.iter().position(|(place, put)| {
            bytes += put.entry.len();
            let again = taken.insert(&*put.key, *place).is_some();
            again || (bytes > BYTES && taken.len() > 1)
        });
        let rest = self.put.split_off(end.unwrap_or(self.put.len()));
        std::mem::replace(&mut self.put, rest)
    }
}

/// The answers of a batch, each in its place. An ask without one is simply done.
pub(super) struct Answers(Vec<Option<Result<Answer, Error>>>);

impl Answers {
    pub(super) fn new(number: usize) -> Self {
        Self((0..number).map(|_| None).collect())
    }

    pub(super) fn set(&mut self, place: usize, answer: Result<Answer, Error>) {
        self.0[place] = Some(answer);
    }

    pub(super) fn finish(self) -> Vec<Result<Answer, Error>> {
        let done = |answer: Option<_>| answer.unwrap_or(Ok(Answer::Done));
        self.0.into_iter().map(done).collect()
    }
}
