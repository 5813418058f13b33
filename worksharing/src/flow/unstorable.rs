use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::sync::{Mutex, lock};

/// The keys whose last value the store would not have: it was too large, or was refused. Other processes are not worth
/// waiting for then, because nothing comes of it.
#[derive(Debug, Default)]
pub(crate) struct Unstorable(Mutex<HashMap<[u8; 16], Instant>>);

/// How long one refusal counts.
const LASTS: Duration = Duration::from_secs(60);
/// How many keys are remembered.
const MOST: usize = 1_000;

impl Unstorable {
    pub(crate) fn contains(&self, digest: &[u8; 16]) -> bool {
        let since = lock(&self.0).get(digest).copied();
        since.is_some_and(|since| since.elapsed() < LASTS)
    }

    pub(crate) fn insert(&self, digest: &[u8; 16]) {
        let mut keys = lock(&self.0);
        if keys.len() >= MOST {
            keys.retain(|_, since| since.elapsed() < LASTS);
        }
        if keys.len() < MOST {
            keys.insert(*digest, Instant::now());
        }
    }

    pub(crate) fn remove(&self, digest: &[u8; 16]) {
        let mut keys = lock(&self.0);
        if !keys.is_empty() {
            keys.remove(digest);
        }
    }
}
