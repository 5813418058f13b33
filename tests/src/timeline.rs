use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::plan::{Event, Moment, Scope};
use crate::{Worker, now_us};

mod linear;
mod spans;

pub use linear::{Invalidation, Older};
pub use spans::{Body, Call};

/// What several workers told, in the order in which it happened.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    pub(crate) events: Vec<(Moment, What)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Called,
    Begin,
    End(Result<String, String>),
    Served(Result<String, String>),
    Invalidating(Scope),
    /// Whether it is known to have been done.
    Invalidated(Scope, bool),
}

impl Timeline {
    /// What these workers told so far.
    pub fn of<'a>(workers: impl IntoIterator<Item = &'a Worker>) -> Self {
        workers.into_iter().flat_map(Worker::events).collect()
    }

    /// Only this key's part.
    pub fn key(&self, key: &str) -> Self {
        self.filter(|moment| moment.key == key)
    }

    /// Only what came after this moment of [`now_us`].
    pub fn since(&self, at_us: u64) -> Self {
        self.filter(|moment| moment.at_us >= at_us)
    }

    /// Only what this process told.
    pub fn process(&self, pid: u32) -> Self {
        self.filter(|moment| moment.pid == pid)
    }

    fn filter(&self, keep: impl Fn(&Moment) -> bool) -> Self {
        let events = self
            .events
            .iter()
            .filter(|(moment, _)| keep(moment))
            .cloned()
            .collect();
        Self { events }
    }

    /// How often the body began.
    pub fn executions(&self) -> usize {
        self.begins().len()
    }

    /// When and where the bodies began.
    pub fn begins(&self) -> Vec<Moment> {
        self.moments(|what| *what == What::Begin)
    }

    /// When and where the bodies ended.
    pub fn ends(&self) -> Vec<Moment> {
        self.moments(|what| matches!(what, What::End(_)))
    }

    /// How many callers called.
    pub fn called(&self) -> usize {
        self.moments(|what| *what == What::Called).len()
    }

    /// How many callers have an answer.
    pub fn served(&self) -> usize {
        self.answers().len()
    }

    /// Whether every call is answered, and every body and invalidation has ended.
    pub fn is_over(&self) -> bool {
        let under_way = self.events.iter().map(|(_, what)| match what {
            What::Called | What::Begin | What::Invalidating(_) => 1,
            What::Served(_) | What::End(_) | What::Invalidated(..) => -1,
        });
        under_way.sum::<i64>() == 0
    }

    /// The callers' answers.
    pub fn answers(&self) -> Vec<Result<String, String>> {
        let answers = self.events.iter().filter_map(|(_, what)| match what {
            What::Served(answer) => Some(answer.clone()),
            _ => None,
        });
        answers.collect()
    }

    /// The different values that callers got.
    pub fn values(&self) -> BTreeSet<String> {
        self.answers().into_iter().flatten().collect()
    }

    /// The different errors that callers got.
    pub fn errors(&self) -> BTreeSet<String> {
        self.answers().into_iter().filter_map(Result::err).collect()
    }

    /// The value of the body that ended last.
    pub fn last_value(&self) -> Option<String> {
        self.events.iter().rev().find_map(|(_, what)| match what {
            What::End(Ok(value)) => Some(value.clone()),
            _ => None,
        })
    }

    /// How many bodies ran at the same time, at the worst. Those of processes that died count until `now`.
    pub fn max_overlap(&self) -> usize {
        let mut running: usize = 0;
        let counts = self.events.iter().map(|(_, what)| {
            match what {
                What::Begin => running += 1,
                What::End(_) => running -= 1,
                _ => {}
            }
            running
        });
        counts.max().unwrap_or(0)
    }

    /// How long after the last body's end the last caller had its answer.
    pub fn last_served_after_body(&self) -> Duration {
        let end = self.ends().last().expect("a body ended").at_us;
        let served = self.moments(|what| matches!(what, What::Served(_)));
        Duration::from_micros(
            served
                .last()
                .expect("a caller was served")
                .at_us
                .saturating_sub(end),
        )
    }

    /// How long the slowest caller had to wait.
    pub fn longest_call(&self) -> Duration {
        let called = self.events.iter().filter(|(_, what)| *what == What::Called);
        let waits = called.map(|(called, _)| {
            let served = self.events.iter().find(|(moment, what)| {
                matches!(what, What::Served(_))
                    && moment.at_us >= called.at_us
                    && same_call(moment, called)
            });
            served.map_or(now_us(), |(moment, _)| moment.at_us) - called.at_us
        });
        Duration::from_micros(waits.max().unwrap_or(0))
    }

    /// What happened within this time, for people: when, in which process, to which caller.
    pub fn describe(&self, within: RangeInclusive<u64>) -> Vec<(u64, String)> {
        let events = self.events.iter();
        let events = events.filter(|(moment, _)| within.contains(&moment.at_us));
        events
            .map(|(moment, what)| {
                let (pid, caller) = (moment.pid, moment.caller);
                (
                    moment.at_us,
                    format!("process {pid}, caller {caller}: {what:?}"),
                )
            })
            .collect()
    }

    fn moments(&self, pick: impl Fn(&What) -> bool) -> Vec<Moment> {
        self.events
            .iter()
            .filter(|(_, what)| pick(what))
            .map(|(moment, _)| moment.clone())
            .collect()
    }
}

impl FromIterator<Event> for Timeline {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        let mut events: Vec<_> = events.into_iter().filter_map(moment).collect();
        events.sort_by_key(|(moment, _)| moment.at_us);
        Self { events }
    }
}

pub(crate) fn same_call(one: &Moment, other: &Moment) -> bool {
    one.pid == other.pid && one.caller == other.caller && one.key == other.key
}

fn moment(event: Event) -> Option<(Moment, What)> {
    match event {
        Event::Called(moment) => Some((moment, What::Called)),
        Event::BodyBegin(moment) => Some((moment, What::Begin)),
        Event::BodyEnd(moment, end) => Some((moment, What::End(end))),
        Event::Served(moment, answer) => Some((moment, What::Served(answer))),
        Event::Invalidating(moment, scope) => Some((moment, What::Invalidating(scope))),
        Event::Invalidated(moment, scope, trouble) => {
            Some((moment, What::Invalidated(scope, trouble.is_none())))
        }
        _ => None,
    }
}
