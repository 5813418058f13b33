//! Trouble that lasts: said when it begins and when it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::sync::{Mutex, lock};

/// What a call may have to do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// What stands in the store.
    Look,
    /// That its value is stored.
    Put,
    /// That nobody else computes the same. With the server, where there are several.
    Lock(Option<&'a str>),
}

impl Part<'_> {
    /// A bit of its own, whatever the server.
    pub(super) fn bit(self) -> u8 {
        match self {
            Self::Look => 1,
            Self::Put => 2,
            Self::Lock(_) => 4,
        }
    }
}

/// One kind of trouble. It begins with a call that it touches, and ends with the first that it does not.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// It has begun, and not ended.
    is_on: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    calls: u64,
    /// Its beginning was said, and so is its end.
    is_said: bool,
    /// The last minute in which something was said: its beginning, and how often by now.
    minute: Option<(Instant, u32)>,
    kept_back: u64,
}

/// One kind of trouble, with each of the servers that it may be with.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    alone: Arc<Trouble>,
    several: Mutex<BTreeMap<String, Arc<Trouble>>>,
}

/// How a trouble was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Was {
    pub(crate) lasted: Duration,
    /// How many calls it touched.
    pub(crate) calls: u64,
}

/// One that comes and goes is said so often in a minute.
const MOST: u32 = 5;
const MINUTE: Duration = Duration::from_secs(60);

impl Trouble {
    /// It touches a call, which it may have touched before. If it begins with it, `say` is called, with how many times
    /// it was kept back before.
    pub(crate) fn touches(&self, is_another: bool, say: impl FnOnce(u64)) {
        let mut state = lock(&self.state);
        state.calls += u64::from(is_another);
        if state.since.is_some() {
            return;
        }
        let now = Instant::now();
        (state.since, state.calls) = (Some(now), 1);
        state.is_said = state.may_say(now);
        self.is_on.store(true, Ordering::Relaxed);
        let kept_back = state.is_said.then(|| std::mem::take(&mut state.kept_back));
        state.kept_back += u64::from(!state.is_said);
        drop(state);
        if let Some(kept_back) = kept_back {
            say(kept_back);
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// It does not touch a call. If it ends with it, `say` is called.
    #[inline]
    pub(crate) fn is_over(&self, say: impl FnOnce(Was)) {
        if self.is_on() {
            self.end(say);
        }
    }

    #[cold]
    fn end(&self, say: impl FnOnce(Was)) {
        let mut state = lock(&self.state);
        let Some(since) = state.since.take() else {
            return;
        };
        self.is_on.store(false, Ordering::Relaxed);
        let was = Was {
            lasted: since.elapsed(),
            calls: state.calls,
        };
        let is_said = state.is_said;
        drop(state);
        if is_said {
            say(was);
        }
    }
}

impl Troubles {
    /// The one with this server, or with the only one.
    pub(crate) fn of(&self, server: Option<&str>) -> Arc<Trouble> {
        let Some(server) = server else {
            return Arc::clone(&self.alone);
        };
        let mut several = lock(&self.several);
        match several.get(server) {
            Some(trouble) => Arc::clone(trouble),
            None => Arc::clone(several.entry(server.to_owned()).or_default()),
        }
    }
}

impl State {
    fn may_say(&mut self, now: Instant) -> bool {
        let (begun, times) = self
            .minute
            .filter(|(begun, _)| now.duration_since(*begun) < MINUTE)
            .unwrap_or((now, 0));
        self.minute = Some((begun, times + 1));
        times < MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_said_once_when_it_begins_and_once_when_it_ends() {
        let (trouble, mut said) = (Trouble::default(), Vec::new());
        trouble.is_over(|_| unreachable!("it has not begun"));
        for _ in 0..2 {
            for is_another in [true, false, true, true] {
                trouble.touches(is_another, |kept_back| said.push(("begins", kept_back)));
            }
            for _ in 0..2 {
                trouble.is_over(|was| said.push(("ends", was.calls)));
            }
        }
        assert_eq!(said, [("begins", 0), ("ends", 3)].repeat(2));
    }

    #[test]
    fn each_server_has_its_own() {
        let (troubles, mut said) = (Troubles::default(), Vec::new());
        for _ in 0..2 {
            for server in ["a", "b", "a"] {
                let trouble = troubles.of(Some(server));
                trouble.touches(true, |_| said.push(format!("{server} begins")));
            }
            for server in [Some("c"), None] {
                let trouble = troubles.of(server);
                trouble.is_over(|_| unreachable!("it has not begun"));
            }
            for server in ["b", "a", "b"] {
                let trouble = troubles.of(Some(server));
                trouble.is_over(|was| said.push(format!("{server} ends: {}", was.calls)));
            }
        }
        let once = ["a begins", "b begins", "b ends: 1", "a ends: 2"];
        assert_eq!(said, once.repeat(2));
    }

    #[test]
    fn one_that_comes_and_goes_is_not_said_for_ever() {
        let (trouble, mut begun, mut ended) = (Trouble::default(), 0, 0);
        for _ in 0..100 {
            trouble.touches(true, |_| begun += 1);
            trouble.is_over(|_| ended += 1);
        }
        assert_eq!((begun, ended), (MOST, MOST));
    }
}
