use std::time::Duration;

/// A stored value, with its age.
///
/// ```
/// use std::time::Duration;
/// use worksharing::WorkSharing;
///
/// let sharing = WorkSharing::in_memory();
/// let report = || sharing.work("report").ttl(Duration::from_secs(60));
/// assert!(report().entry_blocking().is_none());
/// report().run_blocking(|| 42);
/// let entry = report().entry_blocking().unwrap();
/// assert_eq!(entry.value, 42);
/// assert!(entry.is_fresh && entry.age + entry.time_left == Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<T> {
    /// The value.
    pub value: T,
    /// The time since it was stored, by the store's clock.
    pub age: Duration,
    /// For how long it is still fresh; zero once it is not.
    pub time_left: Duration,
    /// Whether it is within its time to live. If not, it is returned only as `stale_while_revalidate` and
    /// `stale_if_error` let it.
    pub is_fresh: bool,
}
