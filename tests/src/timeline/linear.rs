//! Linearizability of invalidations: once one has returned, no call that begins later, in any process, is given what is
//! from before it.
//!
//! What a computation is *from* is a register outside of worksharing: a writer sets it, and invalidates then. A body reads
//! it at some moment after its beginning. So one register stands for all that a test could have: the clock, which is set
//! at every moment, and which a body reads when it begins. What is judged is this:
//!
//! > a call that began after an invalidation had returned is given what a body gave that began no earlier than when that
//! > invalidation was asked for.
//!
//! That is enough: a register that was set before the invalidation was asked for has been read by that body as it is now.
//! And no less will do: a register that was set just before that, and read first of all in the body, would show what it was
//! before.
//!
//! An invalidation that failed, or whose process was killed before it returned, has promised nothing: it may have
//! taken effect, or not, or may do so later.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Body, Call, Timeline, What};
use crate::{Moment, Scope};

/// An invalidation, from the question to its return.
#[derive(Clone, Debug)]
pub struct Invalidation {
    /// Of what, by whom, and when it was asked for.
    pub asked: Moment,
    /// When it had returned, on the clock of [`now_us`](crate::now_us). `None`: it failed, or is not known to have
    /// returned.
    pub returned_us: Option<u64>,
}

/// A call, what it was given, and the invalidation that had returned when it began.
#[derive(Clone, Debug)]
pub struct Older {
    /// What was given.
    pub body: Body,
    /// From before this.
    pub invalidation: Invalidation,
    /// To whom.
    pub call: Call,
}

impl Invalidation {
    /// Whether it may have taken effect somewhere between these moments.
    pub fn may_fall_between(&self, from_us: u64, to_us: u64) -> bool {
        self.asked.at_us <= to_us && self.returned_us.is_none_or(|returned| returned >= from_us)
    }
}

impl Timeline {
    /// What invalidated this key, by itself or by one of these tags.
    pub fn invalidations(&self, key: &str, tags: &[String]) -> Vec<Invalidation> {
        let is_its = |name: &String, scope| match scope {
            Scope::Key => name == key,
            Scope::Tag => tags.contains(name),
        };
        let mut open = BTreeMap::new();
        let mut ended = Vec::new();
        for (moment, what) in &self.events {
            let by = (moment.pid, moment.caller);
            match *what {
                What::Invalidating(scope) if is_its(&moment.key, scope) => {
                    open.insert(by, moment.clone());
                }
                What::Invalidated(_, done) => ended.extend(open.remove(&by).map(|asked| {
                    let returned_us = done.then_some(moment.at_us);
                    Invalidation { asked, returned_us }
                })),
                _ => {}
            }
        }
        let unknown = open.into_values().map(|asked| Invalidation {
            asked,
            returned_us: None,
        });
        ended.into_iter().chain(unknown).collect()
    }

    /// The calls that were given what is from before one of these invalidations, which had returned when they began; so
    /// long before where it need not have reached everybody at once.
    pub fn older_than(
        &self,
        invalidations: &[Invalidation],
        reaches_within: impl Fn(&Invalidation) -> Duration,
    ) -> Vec<Older> {
        let (bodies, bounds) = (self.bodies(), Bounds::of(invalidations, reaches_within));
        let given = Given::by(&bodies);
        let judge = |call: Call| {
            let (body, invalidation) = (given.to(&call)?, bounds.when(call.called.at_us)?);
            let is_older = body.begun.at_us < invalidation.asked.at_us;
            is_older.then(|| Older {
                body: body.clone(),
                invalidation: invalidation.clone(),
                call,
            })
        };
        self.calls().into_iter().filter_map(judge).collect()
    }

    /// The calls that were given what had begun before they asked.
    pub fn calls_not_anew(&self) -> Vec<Call> {
        let (mut calls, bodies) = (self.calls(), self.bodies());
        let given = Given::by(&bodies);
        calls.retain(|call| {
            let body = given.to(call);
            body.is_some_and(|body| body.begun.at_us < call.called.at_us)
        });
        calls
    }

    /// The calls that were given a value that no body had given by then.
    pub fn calls_from_nowhere(&self) -> Vec<Call> {
        let (mut calls, bodies) = (self.calls(), self.bodies());
        let given = Given::by(&bodies);
        calls.retain(|call| call.answer.is_ok() && given.to(call).is_none());
        calls
    }
}

/// What bodies gave.
struct Given<'a>(BTreeMap<&'a Result<String, String>, Vec<&'a Body>>);

impl<'a> Given<'a> {
    fn by(bodies: &'a [Body]) -> Self {
        let mut given: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for body in bodies {
            if let Some((_, end)) = &body.end {
                given.entry(end).or_default().push(body);
            }
        }
        Self(given)
    }

    /// Where a call's answer comes from. What several bodies gave (nothing, say) may be the newest one's.
    fn to(&self, call: &Call) -> Option<&'a Body> {
        let has_ended = |body: &&Body| {
            let end = body.end.as_ref();
            end.is_some_and(|(end, _)| *end <= call.served_us)
        };
        let bodies = self.0.get(&call.answer)?.iter().copied();
        bodies.rev().find(has_ended)
    }
}

/// By when which invalidation is to be respected, the one that was asked for last.
struct Bounds<'a>(Vec<(u64, &'a Invalidation)>);

impl<'a> Bounds<'a> {
    fn of(
        invalidations: &'a [Invalidation],
        reaches_within: impl Fn(&Invalidation) -> Duration,
    ) -> Self {
        let reached = invalidations.iter().filter_map(|one| {
            let within = u64::try_from(reaches_within(one).as_micros());
            let within = within.unwrap_or(u64::MAX);
            Some((one.returned_us?.saturating_add(within), one))
        });
        let mut bounds: Vec<_> = reached.collect();
        bounds.sort_by_key(|(at, _)| *at);
        for next in 1..bounds.len() {
            let before = bounds[next - 1].1;
            if before.asked.at_us > bounds[next].1.asked.at_us {
                bounds[next].1 = before;
            }
        }
        Self(bounds)
    }

    /// That which binds a call that begins then.
    fn when(&self, called_us: u64) -> Option<&'a Invalidation> {
        let count = self.0.partition_point(|(at, _)| *at < called_us);
        Some(self.0[count.checked_sub(1)?].1)
    }
}
