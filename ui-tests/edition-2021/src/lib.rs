//! Annotated functions of an older edition, through a renamed dependency. `ui-tests` calls them.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

pub use shared_work;

use shared_work::work_shared;

/// A crate that hides the runtime behind a name of its own.
pub mod facade {
    pub use shared_work as hidden;
    pub use shared_work::work_shared;
}

/// Another number each time.
pub fn tick() -> u64 {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    TICKS.fetch_add(1, Ordering::Relaxed)
}

/// A word of the next edition as a name.
#[work_shared(crate = shared_work, key = "2021:{gen}:{text}")]
pub fn keyed(gen: u32, text: &str) -> u64 {
    tick()
}

/// The default key of patterns that the next edition reads otherwise.
#[work_shared(crate = shared_work)]
pub async fn patterns((mut a, ref b): (u64, String), [x, ..]: &[u64; 2]) -> Option<u64> {
    a += b.len() as u64 + x;
    Some(tick() + a)
}

/// Lifetimes that this edition's `impl Trait` would not capture.
#[work_shared(crate = shared_work, handle = borrowing_call, ttl = "1m", cache_if = |value| *value > 0)]
pub fn borrowing<'a, T: Debug>(text: &'a str, list: &[T], opaque: impl Debug) -> u64 {
    let _ = (text, list, opaque);
    tick() + 1
}

/// The same of an async function, through a re-export.
#[facade::work_shared(crate = crate::facade::hidden, handle = later_call, ttl = |_: &u64| std::time::Duration::from_secs(9))]
pub async fn later(text: &str) -> Result<u64, &str> {
    if text.is_empty() {
        return Err(text);
    }
    Ok(tick())
}

/// A detached one.
#[work_shared(crate = shared_work, detach, wait = "1m", on_timeout = None)]
pub async fn detached(gen: &str, (mut a, ref b): (u64, String), list: &[u64]) -> Option<u64> {
    a += b.len() as u64 + gen.len() as u64;
    Some(tick() + a + list.first()?)
}

/// One of many ids.
#[work_shared(crate = shared_work, each = gen in ids, key = "2021 each:{gen}")]
pub async fn each(ids: &HashSet<&str>, suffix: String) -> Result<HashMap<String, u64>, String> {
    if suffix == "fails" {
        return Err(suffix);
    }
    Ok(ids.iter().map(|id| ((*id).to_owned(), tick())).collect())
}

/// A macro that writes the attribute: its own crate knows the way.
#[macro_export]
macro_rules! define {
    ($name:ident) => {
        #[$crate::facade::work_shared(crate = $crate::facade::hidden)]
        fn $name(n: u32) -> u64 {
            let _ = n;
            $crate::tick()
        }
    };
}
