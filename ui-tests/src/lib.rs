//! What the tests of the attribute have in common.

use std::sync::atomic::{AtomicU64, Ordering};

/// Another number each time: two calls with one result were one execution.
pub fn tick() -> u64 {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    TICKS.fetch_add(1, Ordering::Relaxed)
}
