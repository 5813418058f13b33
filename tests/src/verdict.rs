use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::timeline::What;
use crate::{Call, Invalidation, NOTHING, Timeline};

mod rules;

pub use rules::Rules;

/// Longer than a wake-up takes, even over a slow network, and shorter than the first poll of a waiter.
const WAKE_UP_US: u64 = 80_000;

/// A process that was killed so shortly before may have taken a wake-up with it, or have been replaced by one
/// that is still connecting: then polling is what wakes.
const AFTER_A_KILL_US: u64 = 1_500_000;

/// Expiry is counted in milliseconds.
const GRAIN_US: u64 = 2_000;

/// What a timeline says about the promises.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// How many bodies began.
    pub executions: usize,
    /// Bodies that ran beside another one of their key, or although a value was fresh.
    pub duplicates: Vec<String>,
    /// How often a body ended while somebody waited for it, and nobody had just been killed.
    pub handovers: usize,
    /// Those after which nobody stirred until a fallback poll must have come.
    pub late: Vec<LateWakeUp>,
    /// The longest time from a call to its answer.
    pub longest_wait: Duration,
    /// Calls without an answer, in processes that were not killed.
    pub unanswered: usize,
    /// Calls that were given an older value than their process had been given before.
    pub went_back: Vec<String>,
    /// Calls that were given what is from before an invalidation that had returned when they began.
    pub from_before: Vec<String>,
    /// Refreshes that were given what was begun before they asked.
    pub not_anew: Vec<String>,
    /// Calls that were given a value that no body is known to have given.
    pub from_nowhere: Vec<String>,
    /// Calls that took longer than their option `wait` lets them.
    pub too_long: Vec<String>,
}

/// Somebody waited, and stirred too late after the end of the body that it waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateWakeUp {
    /// The characteristic string.
    pub key: String,
    /// The process in which the body ran.
    pub leader: u32,
    /// When it ended, on the clock of [`now_us`](crate::now_us).
    pub ended: u64,
    /// When somebody stirred.
    pub stirred: u64,
}

impl LateWakeUp {
    /// Whether it would have been in time, had nothing stood still in these spans of time.
    pub fn is_explained_by(&self, stood_still: &[(u64, u64)]) -> bool {
        let mut until = self.ended;
        let mut still = 0;
        let mut spans = stood_still.to_vec();
        spans.sort_unstable();
        // Each moment counts once, however many stood still in it.
        for (from, to) in spans {
            let (from, to) = (from.max(until), to.min(self.stirred));
            still += to.saturating_sub(from);
            until = until.max(to);
        }
        self.stirred - self.ended < WAKE_UP_US + still
    }
}

/// One execution.
#[derive(Clone, Debug)]
struct Body {
    pid: u32,
    begin: u64,
    end: u64,
    stored: bool,
}

fn tell(calls: Vec<Call>) -> impl Iterator<Item = String> {
    calls.into_iter().map(|call| format!("{call:?}"))
}

fn was_killed_about(at: u64, killed: &BTreeMap<u32, u64>) -> bool {
    let about = at.saturating_sub(AFTER_A_KILL_US)..at.saturating_add(WAKE_UP_US);
    killed.values().any(|killed| about.contains(killed))
}

impl Verdict {
    /// Judges a timeline by what is asked of each of its keys. `killed` tells when which process was killed.
    pub fn of(
        timeline: &Timeline,
        rules: impl Fn(&str) -> Rules,
        killed: &BTreeMap<u32, u64>,
    ) -> Self {
        let mut verdict = Self::default();
        let events = timeline.events.iter();
        let mut keys: Vec<_> = events.map(|(moment, _)| moment.key.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let rules = rules(key);
            let invalidations = timeline.invalidations(key, &rules.tags);
            verdict.add(&timeline.key(key), key, &rules, &invalidations, killed);
        }
        verdict
    }

    fn add(
        &mut self,
        timeline: &Timeline,
        key: &str,
        rules: &Rules,
        invalidations: &[Invalidation],
        killed: &BTreeMap<u32, u64>,
    ) {
        let bodies = bodies(timeline, killed);
        self.executions += bodies.len();
        self.judge_waits(timeline, killed);
        self.judge_values(timeline, rules, invalidations);
        if rules.overlaps {
            return;
        }
        for (number, body) in bodies.iter().enumerate() {
            for earlier in &bodies[..number] {
                if body.begin < rules.free_from(earlier, body, invalidations) {
                    self.duplicates
                        .push(format!("{key}: {earlier:?}, then {body:?}"));
                }
            }
            if !was_killed_about(body.end, killed) {
                self.judge_handover(timeline, key, body, killed);
            }
        }
    }

    fn judge_values(&mut self, timeline: &Timeline, rules: &Rules, invalidations: &[Invalidation]) {
        let older = timeline.older_than(invalidations, |one| rules.reaches_within(one));
        self.from_before
            .extend(older.iter().map(|one| format!("{one:?}")));
        let mut from_nowhere = timeline.calls_from_nowhere();
        from_nowhere.retain(|call| call.answer.as_ref().ok() != rules.on_timeout.as_ref());
        self.from_nowhere.extend(tell(from_nowhere));
        if rules.anew {
            self.not_anew.extend(tell(timeline.calls_not_anew()));
        }
        if !rules.overlaps {
            self.went_back.extend(tell(timeline.calls_that_went_back()));
        }
        if let Some(longest) = rules.longest {
            let bodies = timeline.bodies();
            let mut calls = timeline.calls();
            calls.retain(|call| {
                call.time() > longest && !bodies.iter().any(|body| call.spans(body))
            });
            self.too_long.extend(tell(calls));
        }
    }

    /// After a body's end somebody who waits is served, or computes: at once.
    fn judge_handover(
        &mut self,
        timeline: &Timeline,
        key: &str,
        body: &Body,
        killed: &BTreeMap<u32, u64>,
    ) {
        let waiting = |at: u64| {
            // Who was killed does not wait any more.
            let before = timeline.events.iter().filter(|(moment, _)| {
                let pid = moment.pid;
                moment.at_us < at && pid != body.pid && !killed.contains_key(&pid)
            });
            before.fold(0_i64, |count, (_, what)| match what {
                What::Called => count + 1,
                What::Served(_) => count - 1,
                _ => count,
            })
        };
        if body.end == u64::MAX || waiting(body.end) <= 0 {
            return;
        }
        self.handovers += 1;
        let mut stirs = timeline.events.iter().filter(|(moment, what)| {
            // In its own process the next one may begin, but that process was not asleep.
            let served = matches!(what, What::Served(_)) && moment.pid != body.pid;
            moment.at_us >= body.end && (served || *what == What::Begin)
        });
        let stirred = stirs.next().map_or(u64::MAX, |(moment, _)| moment.at_us);
        if stirred - body.end >= WAKE_UP_US {
            self.late.push(LateWakeUp {
                key: key.to_owned(),
                leader: body.pid,
                ended: body.end,
                stirred,
            });
        }
    }

    fn judge_waits(&mut self, timeline: &Timeline, killed: &BTreeMap<u32, u64>) {
        let mut open = BTreeMap::new();
        for (moment, what) in &timeline.events {
            let call = (moment.pid, moment.caller);
            match what {
                What::Called => drop(open.insert(call, moment.at_us)),
                What::Served(_) => {
                    if let Some(called) = open.remove(&call) {
                        let wait = Duration::from_micros(moment.at_us - called);
                        self.longest_wait = self.longest_wait.max(wait);
                    }
                }
                _ => {}
            }
        }
        self.unanswered += open
            .keys()
            .filter(|(pid, _)| !killed.contains_key(pid))
            .count();
    }

    /// Adds another round's.
    pub fn merge(&mut self, other: Self) {
        self.executions += other.executions;
        self.duplicates.extend(other.duplicates);
        self.handovers += other.handovers;
        self.late.extend(other.late);
        self.longest_wait = self.longest_wait.max(other.longest_wait);
        self.unanswered += other.unanswered;
        self.went_back.extend(other.went_back);
        self.from_before.extend(other.from_before);
        self.not_anew.extend(other.not_anew);
        self.from_nowhere.extend(other.from_nowhere);
        self.too_long.extend(other.too_long);
    }

    /// What was wrong with values and waits, for people.
    pub fn complaints(&self) -> impl Iterator<Item = String> {
        let kinds = [
            ("a duplicate", &self.duplicates),
            ("older than what was seen", &self.went_back),
            ("waited for too long", &self.too_long),
        ];
        about(kinds).chain(self.about_origin())
    }

    /// Only what was wrong with where answers came from: that is promised also where bodies overtake each other, and
    /// where the store loses what it may.
    pub fn about_origin(&self) -> impl Iterator<Item = String> {
        about([
            ("from before an invalidation", &self.from_before),
            ("not computed anew", &self.not_anew),
            ("from nowhere", &self.from_nowhere),
        ])
    }
}

fn about<const N: usize>(kinds: [(&'static str, &Vec<String>); N]) -> impl Iterator<Item = String> {
    let told = kinds.into_iter();
    told.flat_map(|(kind, calls)| calls.iter().map(move |call| format!("{kind}: {call}")))
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} executions, {} duplicates, {} handovers, {} late wake-ups, longest wait {:.3} s, {} unanswered, \
             {} went back, {} from before an invalidation, {} not computed anew, {} from nowhere, {} too long",
            self.executions,
            self.duplicates.len(),
            self.handovers,
            self.late.len(),
            self.longest_wait.as_secs_f64(),
            self.unanswered,
            self.went_back.len(),
            self.from_before.len(),
            self.not_anew.len(),
            self.from_nowhere.len(),
            self.too_long.len(),
        )
    }
}

/// The bodies of one key, in the order of their beginning. A killed process's end with it, unstored.
fn bodies(timeline: &Timeline, killed: &BTreeMap<u32, u64>) -> Vec<Body> {
    let mut bodies: Vec<(usize, Body)> = Vec::new();
    for (moment, what) in &timeline.events {
        let (pid, at) = (moment.pid, moment.at_us);
        match what {
            What::Begin => {
                let end = killed.get(&pid).copied().unwrap_or(u64::MAX);
                bodies.push((
                    moment.caller,
                    Body {
                        pid,
                        begin: at,
                        end,
                        stored: false,
                    },
                ));
            }
            What::End(end) => {
                let open = bodies
                    .iter_mut()
                    .rev()
                    .find(|(caller, body)| *caller == moment.caller && body.pid == pid);
                if let Some((_, body)) = open {
                    // Killed right afterwards, it may not have come to store it.
                    let in_time = killed
                        .get(&pid)
                        .is_none_or(|killed| at + 2_000_000 < *killed);
                    let is_value = end.as_ref().is_ok_and(|value| value != NOTHING);
                    (body.end, body.stored) = (at, is_value && in_time);
                }
            }
            _ => {}
        }
    }
    bodies.into_iter().map(|(_, body)| body).collect()
}

#[cfg(test)]
mod tests;
