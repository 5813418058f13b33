//! The bars of the timeline: who computed, and who waited, from when to when.

use serde::Serialize;

use super::{AT_ONCE, Call, Who};
use crate::told::millis;
use worksharing::Computation;

/// Two that began within so many milliseconds are one, told of from two sides.
const SAME: u64 = 600;
/// More are not kept, however much happens.
const MOST: usize = 2_000;

#[derive(Clone, Serialize)]
pub(crate) struct Bar {
    /// Unique among those of its process.
    pub(super) id: String,
    #[serde(skip)]
    pub(super) who: Who,
    pub(super) computes: bool,
    pub(super) key: String,
    pub(super) function: String,
    /// Milliseconds since 1970.
    pub(super) from: u64,
    /// None while it goes on.
    pub(super) to: Option<u64>,
    /// How many processes wait for it.
    pub(super) waiting: u32,
    /// It is known to have ended in an error.
    pub(super) failed: bool,
}

#[derive(Default)]
pub(crate) struct Bars {
    bars: Vec<Bar>,
    /// Computations that have ended and are not noted elsewhere yet.
    ended: Vec<Bar>,
    made: u64,
}

impl Bars {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Bar> {
        self.bars.iter()
    }

    /// A computation is seen from outside.
    pub(super) fn seen(&mut self, computation: &Computation) {
        let since = millis(computation.since);
        let known = self.bars.iter_mut().rev().find(|bar| bar.is(computation));
        match known {
            Some(bar) if bar.to.is_none() => {
                bar.waiting = computation.waiting;
                bar.function.clone_from(&computation.function);
            }
            // It was told meanwhile that it has ended.
            Some(_) => {}
            None => {
                let who = (computation.host.clone(), computation.process);
                self.push(who, &computation.key, &computation.function, since);
                if let Some(bar) = self.bars.last_mut() {
                    bar.waiting = computation.waiting;
                }
            }
        }
    }

    /// Ends what is not computed any more. Those who tell of themselves know better when that was.
    pub(super) fn end_unseen(
        &mut self,
        list: &[Computation],
        now: u64,
        tells: impl Fn(&Who) -> bool,
    ) {
        let unseen = |bar: &Bar| !tells(&bar.who) && !list.iter().any(|one| bar.is(one));
        self.end_those(unseen, now, false);
    }

    /// A process is gone.
    pub(super) fn end_all_of(&mut self, who: &Who, now: u64) {
        self.end_those(|bar| bar.who == *who, now, false);
    }

    /// A body begins, as its process tells.
    pub(super) fn begins(&mut self, who: &Who, call: &Call, at: u64) {
        self.push(who.clone(), &call.key, &call.function, at);
    }

    /// The body of this key ends, as its process tells.
    pub(super) fn ends(&mut self, who: &Who, key: &str, at: u64, well: bool) {
        self.end_those(|bar| bar.who == *who && bar.key == key, at, !well);
    }

    /// A caller has waited, if it was for long enough to say so.
    pub(super) fn waited(&mut self, who: &Who, number: u64, call: &Call, to: u64) {
        if let Some(mut bar) = waiting(who, number, call, to) {
            bar.to = Some(to);
            self.bars.push(bar);
        }
    }

    pub(super) fn take_ended(&mut self) -> Vec<Bar> {
        std::mem::take(&mut self.ended)
    }

    pub(super) fn forget_before(&mut self, time: u64) {
        self.bars.retain(|bar| bar.to.is_none_or(|to| to > time));
        let surplus = self.bars.len().saturating_sub(MOST);
        self.bars.drain(..surplus);
    }

    fn push(&mut self, who: Who, key: &str, function: &str, from: u64) {
        self.made += 1;
        self.bars.push(Bar {
            id: format!("c{}", self.made),
            who,
            computes: true,
            key: key.to_owned(),
            function: function.to_owned(),
            from,
            to: None,
            waiting: 0,
            failed: false,
        });
    }

    fn end_those(&mut self, which: impl Fn(&Bar) -> bool, at: u64, failed: bool) {
        for bar in &mut self.bars {
            if bar.computes && bar.to.is_none() && which(bar) {
                bar.to = Some(at.max(bar.from));
                bar.waiting = 0;
                bar.failed = failed;
                self.ended.push(bar.clone());
            }
        }
    }
}

impl Bar {
    fn is(&self, computation: &Computation) -> bool {
        self.computes
            && (&self.who.0, self.who.1) == (&computation.host, computation.process)
            && self.key == computation.key
            && self.from.abs_diff(millis(computation.since)) < SAME
    }
}

/// The bar of a caller that waits, if it has for long enough.
pub(super) fn waiting(who: &Who, number: u64, call: &Call, now: u64) -> Option<Bar> {
    (now.saturating_sub(call.called) >= AT_ONCE).then(|| Bar {
        id: format!("w{number}"),
        who: who.clone(),
        computes: false,
        key: call.key.clone(),
        function: call.function.clone(),
        from: call.called,
        to: None,
        waiting: 0,
        failed: false,
    })
}
