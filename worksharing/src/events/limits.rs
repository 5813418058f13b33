//! How often something is said.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use crate::sync::{Mutex, lock};

/// Says a warning at most once a minute, with how many were kept back.
#[derive(Default)]
pub(crate) struct RateLimited(Mutex<(Option<Instant>, u64)>);

const SAY_EVERY: Duration = Duration::from_secs(60);

impl RateLimited {
    /// Calls `say` with the number of times kept back since it was last called, if it is time.
    pub(crate) fn say(&self, say: impl FnOnce(u64)) {
        let mut last = lock(&self.0);
        if last.0.is_some_and(|at| at.elapsed() < SAY_EVERY) {
            last.1 += 1;
            return;
        }
        let kept_back = std::mem::take(&mut last.1);
        last.0 = Some(Instant::now());
        drop(last);
        say(kept_back);
    }
}

impl fmt::Debug for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RateLimited")
    }
}

/// Remembers which keys something was said of, so that it is said once for each.
#[derive(Debug, Default)]
pub(crate) struct OncePerKey(Mutex<HashSet<[u8; 16]>>);

impl OncePerKey {
    /// Past this number of keys nothing more is said.
    const MOST: usize = 1_000;

    /// Whether this is the first time for the key.
    pub(crate) fn first(&self, digest: &[u8; 16]) -> bool {
        let mut said = lock(&self.0);
        said.len() < Self::MOST && said.insert(*digest)
    }
}
