//! What every [`Store`] and every [`Lock`] must do, for those who write their
//! own. The stores and locks of this crate pass it, too.
//!
//! With the feature `testing`, in a test:
//!
//! ```
//! use worksharing::lock::Local;
//! use worksharing::store::Memory;
//! use worksharing::testing::{self, ManualClock};
//!
//! let clock = ManualClock::new();
//! testing::store::conformance(&Memory::new().with_clock(&clock), &clock);
//! testing::lock::conformance(&[&Local::new()]);
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test fails by panicking

mod clock;
pub mod lock;
mod run;
pub mod store;

use std::sync::Arc;

pub use self::clock::{Clock, ManualClock, RealTime};
#[cfg(test)]
pub(crate) use self::run::run_for;
use crate::WorkSharing;
use crate::lock::Lock;
use crate::store::Store;

/// The store and the lock of a runtime, of which some can be had only so.
pub fn backends(sharing: &WorkSharing) -> (Arc<dyn Store>, Arc<dyn Lock>) {
    let runtime = sharing.runtime();
    (Arc::clone(&runtime.store), Arc::clone(&runtime.lock))
}

#[cfg(test)]
mod tests;
