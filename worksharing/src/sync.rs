//! The mutex of the crate: `std`'s, without poisoning, or shuttle's when races are explored. Its counters, too.

#[cfg(feature = "__shuttle")]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
use std::sync::PoisonError;
#[cfg(not(feature = "__shuttle"))]
pub(crate) use std::sync::atomic;
#[cfg(not(feature = "__shuttle"))]
pub(crate) use std::sync::{Mutex, MutexGuard};

/// Locks a mutex. A panic elsewhere is no reason to panic here: no code of a user runs under our locks,
/// and what they protect is never half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
