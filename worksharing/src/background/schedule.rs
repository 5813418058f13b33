use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub(super) type Action = Box<dyn FnOnce() + Send>;

/// How long the thread stays without anything to do.
const LINGER: Duration = Duration::from_secs(10);

/// What is to come, and until when the thread sleeps. It asks no clock.
#[derive(Default)]
pub(super) struct Schedule {
    timers: BTreeMap<Key, Action>,
    next_number: u64,
    wakes_at: Option<Instant>,
    /// When the thread ends, if there is nothing to do until then.
    ends_at: Option<Instant>,
}

/// When an action is due, and a number of its own.
pub(super) type Key = (Instant, u64);

/// What the thread is to do.
pub(super) enum Next {
    Run(Action),
    Sleep(Instant),
    End,
}

impl Schedule {
    /// Adds an action. Returns whether the thread must be woken, since it would sleep for too long.
    pub(super) fn insert(&mut self, due: Instant, action: Action) -> (Key, bool) {
        let key = (due, self.next_number);
        self.next_number += 1;
        self.timers.insert(key, action);
        self.ends_at = None;
        let wakes = self.wakes_at.is_some_and(|wakes_at| due < wakes_at);
        if wakes {
            self.wakes_at = Some(due);
        }
        (key, wakes)
    }

    /// Removes an action that has not come. The thread sleeps on: it may wake once for nothing.
    pub(super) fn remove(&mut self, key: Key) -> Option<Action> {
        self.timers.remove(&key)
    }

    pub(super) fn next(&mut self, now: Instant) -> Next {
        self.wakes_at = None;
        let due = self.timers.first_entry();
        if let Some(due) = due.filter(|entry| entry.key().0 <= now) {
            return Next::Run(due.remove());
        }
        let next = self.timers.keys().next().map(|key| key.0);
        let wakes_at = next.unwrap_or_else(|| *self.ends_at.get_or_insert(now + LINGER));
        if wakes_at <= now {
            return Next::End;
        }
        self.wakes_at = Some(wakes_at);
        Next::Sleep(wakes_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When the thread wakes from now on, in seconds, until it ends.
    fn wake_ups(schedule: &mut Schedule, begun: Instant, mut now: u64) -> Vec<u64> {
        let mut woken = Vec::new();
        loop {
            match schedule.next(begun + Duration::from_secs(now)) {
                Next::Run(action) => action(),
                Next::Sleep(until) => {
                    now = (until - begun).as_secs();
                    woken.push(now);
                }
                Next::End => return woken,
            }
        }
    }

    fn nothing() -> Action {
        Box::new(|| ())
    }

    #[test]
    fn thread_wakes_when_something_is_due_and_to_end() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut schedule = Schedule::default();
        schedule.insert(at(7), nothing());
        let (dropped, _) = schedule.insert(at(5), nothing());
        assert!(schedule.remove(dropped).is_some());
        assert_eq!(wake_ups(&mut schedule, begun, 0), [7, 17]);
        // A timer that was made and dropped meanwhile keeps it for as long again.
        let mut schedule = Schedule::default();
        assert!(matches!(schedule.next(begun), Next::Sleep(_)));
        let (dropped, _) = schedule.insert(at(12), nothing());
        assert!(schedule.remove(dropped).is_some());
        assert_eq!(wake_ups(&mut schedule, begun, 10), [20]);
    }

    #[test]
    fn only_what_comes_earlier_than_the_thread_wakes_it() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut schedule = Schedule::default();
        let wakes = |schedule: &mut Schedule, seconds| schedule.insert(at(seconds), nothing());
        // It is not asleep yet.
        assert!(!wakes(&mut schedule, 8).1);
        assert!(matches!(schedule.next(begun), Next::Sleep(_)));
        let keys = [(9, false), (4, true), (4, false), (3, true), (5, false)].map(|(due, wake)| {
            let (key, wakes) = wakes(&mut schedule, due);
            assert_eq!(wakes, wake, "{due}");
            key
        });
        for key in keys {
            drop(schedule.remove(key));
        }
        // Once for nothing, and then no more.
        assert_eq!(wake_ups(&mut schedule, begun, 3), [8, 18]);
    }
}
