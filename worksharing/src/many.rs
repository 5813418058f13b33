mod steps;

use std::fmt;
use std::pin::pin;

use futures_util::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::steps::Many;
use crate::blocking::block_on;
use crate::each::ByKey;
use crate::flow::{self, Call};
use crate::policy::{CloneErrors, ErrorRules, Errors, OkOnly, Policy, Rules, Whole};
use crate::{Error, Work, WorkSharing};

type Plain<V> = Rules<Whole, Option<V>>;

/// Work of many keys at once, each of them a piece of work of its own: what is stored is read in one round trip, what
/// others compute is waited for, and the rest is computed together. Made by [`WorkSharing::many`].
///
/// ```
/// use std::collections::HashMap;
/// use std::time::Duration;
/// use worksharing::WorkSharing;
///
/// let sharing = WorkSharing::in_memory();
/// let users = |ids: &[u64]| {
///     sharing
///         .many(ids.to_vec(), |id| format!("user:{id}"))
///         .with(|work, id| work.ttl(Duration::from_secs(300)).tag(format!("group:{}", id % 2)))
///         .run_blocking(|missing| -> HashMap<u64, String> {
///             // SELECT … WHERE id = ANY($1)
///             missing.into_iter().map(|id| (id, format!("user {id}"))).collect()
///         })
/// };
/// assert_eq!(users(&[1, 2]).len(), 2);
/// assert_eq!(users(&[1, 2, 3])[&3], "user 3"); // computed for 3 alone
/// assert_eq!(sharing.stats().computed, 3);
/// ```
#[must_use = "nothing happens until it is run, peeked at or invalidated"]
pub struct ManyWork<K, X = Errors> {
    calls: Vec<(K, Call)>,
    errors: X,
}

impl<K: Clone> ManyWork<K> {
    pub(crate) fn new<S: AsRef<str>>(
        sharing: &WorkSharing,
        ids: impl IntoIterator<Item = K>,
        mut key: impl FnMut(&K) -> S,
    ) -> Self {
        let call = |id: K| {
            let work = sharing.work::<()>(key(&id));
            (id, work.into_call())
        };
        Self {
            calls: ids.into_iter().map(call).collect(),
            errors: Errors::KEPT,
        }
    }

    /// Gives clones of an error to all who wait for one of its ids in this process.
    pub fn clone_errors(self) -> ManyWork<K, Errors<CloneErrors>> {
        ManyWork {
            calls: self.calls,
            errors: self.errors.shared(CloneErrors),
        }
    }
}

impl<K: Clone, X> ManyWork<K, X> {
    /// Sets the options of each id's work, as those of a [`Work`]. [`Work::local`] has no effect here: nothing of it is kept
    /// in the process.
    pub fn with(mut self, mut options: impl FnMut(Work<()>, &K) -> Work<()>) -> Self {
        let set = |(id, call): (K, Call)| {
            let work = options(Work::of(call), &id);
            (id, work.into_call())
        };
        self.calls = self.calls.into_iter().map(set).collect();
        self
    }

    /// The values of all ids: those that are stored, those that others compute now, and of the rest what `compute`
    /// returns for it. An id that is missing there has none, which is given to all who wait for that, and not stored. What
    /// nobody asked for is dropped. It may be called again, for ids that others failed to compute.
    ///
    /// Nobody is waited for before what was computed here is shared: so two callers with the same ids in another order do
    /// not wait for each other.
    ///
    /// # Panics
    /// If `compute` does. Other callers, if some wait, take over.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind: locks are released, and other callers take over.
    pub async fn run<M, F>(self, mut compute: impl FnMut(Vec<K>) -> F) -> M
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned>,
        F: Future<Output = M>,
    {
        let mut many = Many::<_, Plain<M::Value>>::new(self.calls);
        while let Some(missing) = many.next().await {
            many.land(Plain::new(), pin!(compute(missing))).await;
        }
        many.finish()
    }

    /// [`run`](Self::run), blocking this thread.
    ///
    /// # Panics
    /// If `compute` does.
    pub fn run_blocking<M>(self, mut compute: impl FnMut(Vec<K>) -> M) -> M
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned>,
    {
        let mut many = Many::<_, Plain<M::Value>>::new(self.calls);
        while let Some(missing) = many.next_blocking() {
            many.land_blocking(Plain::new(), || compute(missing));
        }
        many.finish()
    }

    /// [`run`](Self::run) for what may fail: an error is that of the whole, and only values are shared.
    ///
    /// # Errors
    /// What `compute` returns; with [`clone_errors`](Self::clone_errors), also to one that this caller has waited for.
    ///
    /// # Panics
    /// If `compute` does.
    ///
    /// # Cancel safety
    /// As of [`run`](Self::run).
    pub async fn try_run<M, E, F>(self, mut compute: impl FnMut(Vec<K>) -> F) -> Result<M, E>
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned>,
        F: Future<Output = Result<M, E>>,
        X: ErrorRules<E> + Copy,
    {
        let policy = || Rules::<OkOnly<E>, Option<M::Value>, _, _, _>::with_errors(self.errors);
        let mut many = of_type(&policy(), self.calls);
        while let Some(missing) = many.next().await {
            many.land(policy(), pin!(compute(missing))).await;
        }
        many.finish()
    }

    /// [`try_run`](Self::try_run), blocking this thread.
    ///
    /// # Errors
    /// As of [`try_run`](Self::try_run).
    ///
    /// # Panics
    /// If `compute` does.
    pub fn try_run_blocking<M, E>(
        self,
        mut compute: impl FnMut(Vec<K>) -> Result<M, E>,
    ) -> Result<M, E>
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned>,
        X: ErrorRules<E> + Copy,
    {
        let policy = || Rules::<OkOnly<E>, Option<M::Value>, _, _, _>::with_errors(self.errors);
        let mut many = of_type(&policy(), self.calls);
        while let Some(missing) = many.next_blocking() {
            many.land_blocking(policy(), || compute(missing));
        }
        many.finish()
    }

    /// The values that are stored, if [`run`](Self::run) would return them without waiting. Never computes.
    ///
    /// # Cancel safety
    /// Dropped, it changes nothing.
    pub async fn peek<M>(self) -> M
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned>,
    {
        let peek = |(id, call)| async move {
            let value = flow::peek::<Option<M::Value>>(call).await?;
            Some((id, value?))
        };
        let found = join_all(self.calls.into_iter().map(peek)).await;
        found.into_iter().flatten().collect()
    }

    /// [`peek`](Self::peek), blocking this thread.
    pub fn peek_blocking<M>(self) -> M
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned>,
    {
        block_on(self.peek())
    }

    /// Removes the stored values. Computations of them that are under way will not store their results.
    ///
    /// # Errors
    /// The store cannot be reached: some of the values may still be there.
    ///
    /// # Cancel safety
    /// Dropped, the removal may or may not happen.
    pub async fn invalidate(self) -> Result<(), Error> {
        let calls = self.calls.iter().map(|(_, call)| call.invalidate());
        join_all(calls).await.into_iter().collect()
    }

    /// [`invalidate`](Self::invalidate), blocking this thread.
    ///
    /// # Errors
    /// As of [`invalidate`](Self::invalidate).
    pub fn invalidate_blocking(self) -> Result<(), Error> {
        block_on(self.invalidate())
    }
}

/// Of the policy only its type counts.
fn of_type<'a, K: Clone, P: Policy + 'a>(_: &P, calls: Vec<(K, Call)>) -> Many<'a, K, P> {
    Many::new(calls)
}

impl<K, X> fmt::Debug for ManyWork<K, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManyWork")
            .field("ids", &self.calls.len())
            .finish_non_exhaustive()
    }
}
