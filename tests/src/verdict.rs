use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::Timeline;
use crate::timeline::What;

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

fn was_killed_about(at: u64, killed: &BTreeMap<u32, u64>) -> bool {
    let about = at.saturating_sub(AFTER_A_KILL_US)..at.saturating_add(WAKE_UP_US);
    killed.values().any(|killed| about.contains(killed))
}

impl Verdict {
    /// Judges a timeline in which all values live for `ttl`. `killed` tells when which process was killed.
    pub fn of(timeline: &Timeline, ttl: Duration, killed: &BTreeMap<u32, u64>) -> Self {
        let mut verdict = Self::default();
        let mut keys: Vec<_> = timeline
            .events
            .iter()
            .map(|(moment, _)| moment.key.as_str())
            .collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            verdict.add(&timeline.key(key), key, ttl, killed);
        }
        verdict
    }

    fn add(&mut self, timeline: &Timeline, key: &str, ttl: Duration, killed: &BTreeMap<u32, u64>) {
        let bodies = bodies(timeline, killed);
        self.executions += bodies.len();
        let ttl = u64::try_from(ttl.as_micros()).expect("a short time");
        for (number, body) in bodies.iter().enumerate() {
            for earlier in &bodies[..number] {
                let fresh = if earlier.stored {
                    ttl.saturating_sub(GRAIN_US)
                } else {
                    0
                };
                if body.begin < earlier.end.saturating_add(fresh) {
                    self.duplicates
                        .push(format!("{key}: {earlier:?}, then {body:?}"));
                }
            }
            if !was_killed_about(body.end, killed) {
                self.judge_handover(timeline, key, body, killed);
            }
        }
        self.judge_waits(timeline, killed);
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
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} executions, {} duplicates, {} handovers, {} late wake-ups, longest wait {:.3} s, {} unanswered",
            self.executions,
            self.duplicates.len(),
            self.handovers,
            self.late.len(),
            self.longest_wait.as_secs_f64(),
            self.unanswered,
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
                    (body.end, body.stored) = (at, end.is_ok() && in_time);
                }
            }
            _ => {}
        }
    }
    bodies.into_iter().map(|(_, body)| body).collect()
}

#[cfg(test)]
mod tests;
