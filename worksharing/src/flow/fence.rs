//! What a leader saw under the lock, and whether it still stands there while the body runs.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::call::Call;
use super::timing::{FENCE_CHECK, FENCE_LIFE};
use crate::background::{self, Timer};
use crate::events::Event;
use crate::store::{Look, Seen};
use crate::sync::{Mutex, lock};

/// Looks at the entry's id again and again, from the background, until it is dropped.
pub(super) struct FenceWatch(Arc<Mutex<State>>);

struct State {
    /// `None`: the leader's look failed.
    seen: Option<Seen>,
    /// When the last look was sent that found nothing newer.
    confirmed: Instant,
    /// Something newer was found.
    superseded: bool,
    begun: Instant,
    /// The computation was said to be long.
    said: bool,
    next: Option<Timer>,
}

/// What a look of the watch needs. The runtime is not kept alive for it.
struct Watched {
    call: Call,
    state: Weak<Mutex<State>>,
}

impl FenceWatch {
    pub(super) fn begin(call: &Call, seen: Option<Seen>) -> Self {
        let now = Instant::now();
        let state = Arc::new(Mutex::new(State::new(seen, now)));
        look_later(call.clone(), &state);
        Self(state)
    }

    /// What the leader saw; `None` where its look failed.
    pub(super) fn seen(&self) -> Option<Seen> {
        lock(&self.0).seen
    }

    /// What the leader saw, if that is all that anybody who looked since can have seen.
    pub(super) fn holds(&self) -> Option<Seen> {
        let state = lock(&self.0);
        let holds = !state.superseded && state.confirmed.elapsed() < FENCE_LIFE;
        state.seen.filter(|_| holds)
    }

    /// What a put may replace; `None` if it may not be made at all, because what superseded it may be gone again. A put
    /// that is made now has what is left of [`FENCE_LIFE`] to take effect: so a look that is older is made anew.
    pub(super) async fn confirmed(&self, call: &Call) -> Option<Seen> {
        if lock(&self.0).confirmed.elapsed() >= FENCE_CHECK {
            look(call, &self.0).await;
        }
        let state = lock(&self.0);
        let confirmed = !state.superseded && state.confirmed.elapsed() < FENCE_LIFE;
        confirmed.then(|| state.seen.unwrap_or_default())
    }
}

fn look_later(call: Call, state: &Arc<Mutex<State>>) {
    let watched = Watched {
        call,
        state: Arc::downgrade(state),
    };
    let timer = background::timer(FENCE_CHECK, move || {
        background::spawn(watched.look());
    });
    lock(state).next = Some(timer);
}

impl Watched {
    async fn look(self) {
        let Some(state) = self.state.upgrade() else {
            return;
        };
        look(&self.call, &state).await;
        self.say_if_long(&state);
        // The leader may have ended meanwhile.
        if Arc::strong_count(&state) > 1 && !lock(&state).superseded {
            look_later(self.call, &state);
        }
    }

    fn say_if_long(&self, state: &Mutex<State>) {
        let mut state = lock(state);
        let so_far = state.begun.elapsed();
        if so_far >= self.call.runtime.timeouts.long_computation
            && !std::mem::replace(&mut state.said, true)
        {
            drop(state);
            self.call.record(Event::Long(so_far));
        }
    }
}

/// Looks at the id of what stands there. A look that fails, or takes very long, confirms nothing.
async fn look(call: &Call, state: &Mutex<State>) {
    let asked = Instant::now();
    let look = Look::up_to(Seen::LEN);
    let Ok(found) = call.runtime.store.get_one(&call.key, look).await else {
        return;
    };
    let found = Seen::of(found.as_ref().map(|found| &found.bytes[..]));
    lock(state).learn(found, asked);
}

impl State {
    fn new(seen: Option<Seen>, now: Instant) -> Self {
        Self {
            seen,
            confirmed: now,
            superseded: false,
            begun: now,
            said: false,
            next: None,
        }
    }

    /// What a look found that was sent then. What the leader saw has stood there all the time if it stands there now.
    /// That nothing stands there tells as much only where nothing can have come and gone since the last look: no later
    /// look makes up for a gap.
    fn learn(&mut self, found: Seen, asked: Instant) {
        let gap = asked.saturating_duration_since(self.confirmed);
        let is_nothing = found == Seen::default();
        if (is_nothing && gap < FENCE_LIFE) || (!is_nothing && self.seen == Some(found)) {
            self.confirmed = asked;
        } else {
            self.superseded = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn looks_confirm_what_was_seen_or_end_the_right_to_put() {
        let begun = Instant::now();
        let [x, y] = [b"magicWSE entry X", b"magicWSE entry Y"].map(|entry| Seen::of(Some(entry)));
        let nothing = Seen::default();
        for (seen, looks, holds) in [
            (
                Some(nothing),
                &[(4, nothing), (8, nothing), (12, nothing)][..],
                true,
            ),
            (Some(x), &[(4, x), (8, nothing)], true),
            (Some(x), &[(30, x)], true),
            (None, &[(4, nothing)], true),
            // A tombstone, say.
            (Some(nothing), &[(4, x)], false),
            (Some(x), &[(4, y), (8, x)], false),
            (None, &[(4, x)], false),
            // It may have come and gone.
            (Some(nothing), &[(10, nothing)], false),
            (
                Some(x),
                &[(4, nothing), (14, nothing), (15, nothing)],
                false,
            ),
        ] {
            let mut state = State::new(seen, begun);
            for (at, found) in looks {
                state.learn(*found, begun + Duration::from_secs(*at));
            }
            assert_eq!(!state.superseded, holds, "{seen:?} {looks:?}");
        }
    }

    /// Something came after 1 s, stood for `FENCE_LIFE` and went, long before the body ended.
    #[test]
    fn no_body_is_too_long_to_have_seen_what_superseded_it() {
        const BODY: u64 = 90;
        let begun = Instant::now();
        let (nothing, newer) = (Seen::default(), Seen::of(Some(b"magicWSE entry Y")));
        for first_look in 1..=FENCE_CHECK.as_secs() {
            let mut state = State::new(Some(nothing), begun);
            let looks = (first_look..BODY).step_by(FENCE_CHECK.as_secs() as usize);
            for at in looks.map(Duration::from_secs) {
                let second = Duration::from_secs(1);
                let stands = (second..second + FENCE_LIFE).contains(&at);
                state.learn(if stands { newer } else { nothing }, begun + at);
            }
            assert!(state.superseded, "{first_look}");
        }
    }
}
