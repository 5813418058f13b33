mod detached;
mod steps;

use std::fmt;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::detached::DetachedMany;
pub use self::steps::{Many, ManyLeads, Settled};
use crate::blocking::block_on;
use crate::each::{ByKey, EachReturned};
use crate::flow::{self, Call};
use crate::near::{Keeping, Local};
use crate::policy::{CloneErrors, ErrorRules, Errors, OkOnly, Policy, Rules, Whole};
use crate::together;
use crate::work::{Computes, Gives, OnTimeout, Timeout};
use crate::{Error, Key, Work, WorkSharing};

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
pub struct ManyWork<K, X = Errors, W = Computes, L = Elsewhere> {
    calls: Vec<(K, Call)>,
    errors: X,
    on_timeout: W,
    local: L,
}

/// Values are kept in the store: what a [`ManyWork`] does without [`local`](ManyWork::local).
#[derive(Debug, Clone, Copy)]
pub struct Elsewhere;

/// Values are kept in this process, too.
#[derive(Debug, Clone, Copy)]
pub struct Here;

/// How values are kept in this process, if they are.
pub trait Keeps<S>: Copy + Send + 'static {
    /// How.
    fn keeping(self) -> Option<Keeping<S>>;
}

impl<S> Keeps<S> for Elsewhere {
    fn keeping(self) -> Option<Keeping<S>> {
        None
    }
}

impl<S: Local> Keeps<S> for Here {
    fn keeping(self) -> Option<Keeping<S>> {
        Some(Keeping::new())
    }
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
            on_timeout: Computes,
            local: Elsewhere,
        }
    }
}

impl<K: Clone, W, L> ManyWork<K, Errors, W, L> {
    /// Gives clones of an error to all who wait for one of its ids in this process.
    pub fn clone_errors(self) -> ManyWork<K, Errors<CloneErrors>, W, L> {
        ManyWork {
            calls: self.calls,
            errors: self.errors.shared(CloneErrors),
            on_timeout: self.on_timeout,
            local: self.local,
        }
    }
}

impl<K: Clone, X, W, L> ManyWork<K, X, W, L> {
    /// Sets the options of each id's work, as those of a [`Work`]. Not these, which are set for all together:
    /// [`local`](Self::local), [`wait`](Self::wait).
    pub fn with(self, mut options: impl FnMut(Work<()>, &K) -> Work<()>) -> Self {
        let set = |(id, call): (K, Call)| {
            let work = options(Work::of(call), &id);
            (id, work.into_call())
        };
        Self {
            calls: self.calls.into_iter().map(set).collect(),
            ..self
        }
    }

    /// How long a caller waits for what others compute, as of [`Work::wait`]. One limit for all ids, from the beginning of
    /// the call.
    pub fn wait(self, time: Duration) -> Self
    where
        W: Timeout,
    {
        self.set(|call| {
            let rare = call.options.rare_mut();
            rare.wait = Some(time);
            rare.overflow = W::COMPUTES;
        })
    }

    /// What a caller gets, instead of all values, that has waited for as long as [`wait`](Self::wait) says. What it has
    /// computed itself is shared by then.
    pub fn on_timeout<R, F: FnOnce() -> R>(self, value: F) -> ManyWork<K, X, Gives<F>, L> {
        let this = self.set(|call| call.options.rare_mut().overflow = false);
        ManyWork {
            calls: this.calls,
            errors: this.errors,
            on_timeout: Gives::by(value),
            local: this.local,
        }
    }

    /// Also keeps the values in this process, as [`Work::local`] does. Where all are kept no server is asked.
    pub fn local(self, time: Duration) -> ManyWork<K, X, W, Here> {
        let this = self.set(|call| call.options.rare_mut().local = time);
        ManyWork {
            calls: this.calls,
            errors: this.errors,
            on_timeout: this.on_timeout,
            local: Here,
        }
    }

    /// The computation belongs to the runtime, and not to the caller: one that goes away does not end it.
    pub fn detach(self) -> DetachedMany<K, X, W, L> {
        DetachedMany(self.set(|call| call.options.detach = true))
    }

    fn set(mut self, set: impl Fn(&mut Call)) -> Self {
        self.calls.iter_mut().for_each(|(_, call)| set(call));
        self
    }

    /// The keys, namespace included, in the order of the ids.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.calls.iter().map(|(_, call)| &call.key)
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
    pub async fn run<M, F>(self, compute: impl FnMut(Vec<K>) -> F) -> M
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned>,
        F: Future<Output = M>,
        W: OnTimeout<M>,
        L: Keeps<Option<M::Value>>,
    {
        let keeping = self.local.keeping();
        let policy = || Rules::<Whole, Option<M::Value>>::new().kept(keeping);
        drive(self.calls, policy, self.on_timeout, compute).await
    }

    /// [`run`](Self::run), blocking this thread.
    ///
    /// # Panics
    /// If `compute` does.
    pub fn run_blocking<M>(self, compute: impl FnMut(Vec<K>) -> M) -> M
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned>,
        W: OnTimeout<M>,
        L: Keeps<Option<M::Value>>,
    {
        let keeping = self.local.keeping();
        let policy = || Rules::<Whole, Option<M::Value>>::new().kept(keeping);
        drive_blocking(self.calls, policy, self.on_timeout, compute)
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
    pub async fn try_run<M, E, F>(self, compute: impl FnMut(Vec<K>) -> F) -> Result<M, E>
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned>,
        F: Future<Output = Result<M, E>>,
        W: OnTimeout<Result<M, E>>,
        X: ErrorRules<E> + Copy,
        L: Keeps<Option<M::Value>>,
    {
        let (keeping, errors) = (self.local.keeping(), self.errors);
        let policy =
            || Rules::<OkOnly<E>, Option<M::Value>, _, _, _>::with_errors(errors).kept(keeping);
        drive(self.calls, policy, self.on_timeout, compute).await
    }

    /// [`try_run`](Self::try_run), blocking this thread.
    ///
    /// # Errors
    /// As of [`try_run`](Self::try_run).
    ///
    /// # Panics
    /// If `compute` does.
    pub fn try_run_blocking<M, E>(self, compute: impl FnMut(Vec<K>) -> Result<M, E>) -> Result<M, E>
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned>,
        W: OnTimeout<Result<M, E>>,
        X: ErrorRules<E> + Copy,
        L: Keeps<Option<M::Value>>,
    {
        let (keeping, errors) = (self.local.keeping(), self.errors);
        let policy =
            || Rules::<OkOnly<E>, Option<M::Value>, _, _, _>::with_errors(errors).kept(keeping);
        drive_blocking(self.calls, policy, self.on_timeout, compute)
    }

    /// The stored values, of those that [`run`](Self::run) would return without waiting. Never computes.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind.
    pub async fn peek<M>(self) -> M
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned>,
    {
        peek(self.calls).await
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
        invalidate(self.calls.into_iter().map(|(_, call)| call)).await
    }

    /// [`invalidate`](Self::invalidate), blocking this thread.
    ///
    /// # Errors
    /// As of [`invalidate`](Self::invalidate).
    pub fn invalidate_blocking(self) -> Result<(), Error> {
        block_on(self.invalidate())
    }
}

/// The stored values, by their ids.
pub(crate) async fn peek<M>(calls: impl IntoIterator<Item = (M::Key, Call)>) -> M
where
    M: ByKey<Value: Serialize + DeserializeOwned>,
{
    let peek = |(id, call)| async move {
        let value = flow::peek::<Option<M::Value>>(call).await?;
        Some((id, value?))
    };
    let found = together::all(pin!(join_all(calls.into_iter().map(peek)))).await;
    found.into_iter().flatten().collect()
}

/// Removes what is stored under all keys.
pub(crate) async fn invalidate(calls: impl Iterator<Item = Call>) -> Result<(), Error> {
    let invalidate = |call: Call| async move { call.invalidate().await };
    let all = together::all(pin!(join_all(calls.map(invalidate)))).await;
    all.into_iter().collect()
}

fn many<'a, K: Clone, P: Policy + 'a>(calls: Vec<(K, Call)>, policy: &P) -> Many<'a, K, P> {
    let keeping = policy.keeping();
    let entrant = |(id, call): (K, Call)| {
        let kept = call.find(keeping).map(P::from_shared);
        (id, kept.ok_or(call))
    };
    Many::new(calls.into_iter().map(entrant), keeping)
}

async fn drive<K, P, R, F>(
    calls: Vec<(K, Call)>,
    policy: impl Fn() -> P,
    on_timeout: impl OnTimeout<R>,
    mut compute: impl FnMut(Vec<K>) -> F,
) -> R
where
    K: Clone,
    P: Policy,
    R: EachReturned<K, P>,
    F: Future<Output = R>,
{
    let mut many = many(calls, &policy());
    while let Some(missing) = many.next().await {
        many.land(policy(), pin!(compute(missing))).await;
    }
    many.finish_or(on_timeout)
}

fn drive_blocking<K: Clone, P: Policy, R: EachReturned<K, P>>(
    calls: Vec<(K, Call)>,
    policy: impl Fn() -> P,
    on_timeout: impl OnTimeout<R>,
    mut compute: impl FnMut(Vec<K>) -> R,
) -> R {
    let mut many = many(calls, &policy());
    while let Some(missing) = many.next_blocking() {
        many.land_blocking(policy(), || compute(missing));
    }
    many.finish_or(on_timeout)
}

impl<K, X, W, L> fmt::Debug for ManyWork<K, X, W, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManyWork")
            .field("ids", &self.calls.len())
            .finish_non_exhaustive()
    }
}
