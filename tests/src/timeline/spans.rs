//! Calls and bodies, each from its beginning to its end, and what they tell of the values' order.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Timeline, What};
use crate::{Moment, NOTHING};

/// A call, from the question to the answer.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who asked for what, and when.
    pub called: Moment,
    /// When it was answered, on the clock of [`now_us`](crate::now_us).
    pub served_us: u64,
    /// A value, or an error or panic of its own.
    pub answer: Result<String, String>,
}

/// An execution.
#[derive(Clone, Debug)]
pub struct Body {
    /// For which caller it began, and when.
    pub begun: Moment,
    /// When it ended, and how. `None`: it is not known to have.
    pub end: Option<(u64, Result<String, String>)>,
}

impl Call {
    /// How long it took.
    pub fn time(&self) -> Duration {
        Duration::from_micros(self.served_us - self.called.at_us)
    }

    /// Whether this very caller ran the body, or waited for the one that ran on its behalf.
    pub fn spans(&self, body: &Body) -> bool {
        let of_this_caller =
            (body.begun.pid, body.begun.caller) == (self.called.pid, self.called.caller);
        let ends_before = |(end, _): &(u64, _)| *end <= self.served_us;
        of_this_caller
            && self.called.at_us <= body.begun.at_us
            && body.end.as_ref().is_some_and(ends_before)
    }
}

impl Body {
    /// What it gave, which no other body did.
    fn value(&self) -> Option<&str> {
        let (_, end) = self.end.as_ref()?;
        end.as_deref().ok().filter(|value| *value != NOTHING)
    }
}

impl Timeline {
    /// The calls that were answered, in the order of their answers.
    pub fn calls(&self) -> Vec<Call> {
        let mut open = BTreeMap::new();
        let mut calls = Vec::new();
        for (moment, what) in &self.events {
            let call = (moment.pid, moment.caller, &moment.key);
            match what {
                What::Called => drop(open.insert(call, moment.clone())),
                What::Served(answer) => calls.extend(open.remove(&call).map(|called| Call {
                    called,
                    served_us: moment.at_us,
                    answer: answer.clone(),
                })),
                _ => {}
            }
        }
        calls
    }

    /// The bodies that began, in this order.
    pub fn bodies(&self) -> Vec<Body> {
        let mut bodies: Vec<Body> = Vec::new();
        for (moment, what) in &self.events {
            match what {
                What::Begin => bodies.push(Body {
                    begun: moment.clone(),
                    end: None,
                }),
                What::End(end) => {
                    let is_its = |body: &&mut Body| {
                        body.end.is_none() && super::same_call(&body.begun, moment)
                    };
                    if let Some(body) = bodies.iter_mut().rev().find(is_its) {
                        body.end = Some((moment.at_us, end.clone()));
                    }
                }
                _ => {}
            }
        }
        bodies
    }

    /// The body that gave this value.
    pub fn body_of(&self, value: &str) -> Option<Body> {
        let mut bodies = self.bodies().into_iter();
        bodies.find(|body| body.value() == Some(value))
    }

    /// How long the calls took, the shortest first.
    pub fn times(&self) -> Vec<Duration> {
        let mut times: Vec<_> = self.calls().iter().map(Call::time).collect();
        times.sort_unstable();
        times
    }

    /// Calls whose caller ran the body itself, or waited for its own.
    pub fn calls_that_computed(&self) -> Vec<Call> {
        let (mut calls, bodies) = (self.calls(), self.bodies());
        calls.retain(|call| bodies.iter().any(|body| call.spans(body)));
        calls
    }

    /// Calls that were given a value, of a body that ended before that of one that another call of the same process and
    /// key had been given before they began.
    pub fn calls_that_went_back(&self) -> Vec<Call> {
        let bodies = self.bodies();
        let ended = bodies
            .iter()
            .filter_map(|body| Some((body.value()?, body.end.as_ref()?.0)));
        let ended: BTreeMap<_, _> = ended.collect();
        let age = |call: &Call| ended.get(call.answer.as_deref().ok()?).copied();
        let of_caller = |call: &Call| (call.called.pid, call.called.key.clone());
        let calls = self.calls();
        // The newest value that had been given away by then, for each process and key, by time.
        let mut newest: BTreeMap<_, Vec<(u64, u64)>> = BTreeMap::new();
        for call in &calls {
            let given = newest.entry(of_caller(call)).or_default();
            let before = given.last().map_or(0, |(_, newest)| *newest);
            given.push((call.served_us, before.max(age(call).unwrap_or(0))));
        }
        let goes_back = |call: &Call| {
            let given = &newest[&of_caller(call)];
            let count = given.partition_point(|(served, _)| *served < call.called.at_us);
            let known = count.checked_sub(1).map_or(0, |last| given[last].1);
            age(call).is_some_and(|age| age < known)
        };
        calls
            .iter()
            .filter(|call| goes_back(call))
            .cloned()
            .collect()
    }
}
