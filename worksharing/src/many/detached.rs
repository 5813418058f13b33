//! Work of many keys that belongs to the runtime.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Keeps, Many, ManyWork, many};
use crate::each::{ByKey, EachReturned};
use crate::flow::Call;
use crate::policy::{ErrorRules, OkOnly, Policy, Rules, Whole};
use crate::work::OnTimeout;

/// A [`ManyWork`] whose computation belongs to the runtime: see [`ManyWork::detach`]. What it computes with is taken
/// along, so that it owns all it needs.
///
/// ```
/// use std::collections::HashMap;
/// use worksharing::WorkSharing;
///
/// let sharing = WorkSharing::in_memory();
/// let greeting = "hello".to_owned();
/// let many = sharing.many(["you", "me"], |name| format!("greeting:{name}")).detach();
/// let greetings: HashMap<_, _> = many.run_blocking(move |missing| {
///     missing.into_iter().map(|name| (name, format!("{greeting}, {name}"))).collect()
/// });
/// assert_eq!(greetings["you"], "hello, you");
/// ```
#[must_use = "nothing happens until it is run"]
pub struct DetachedMany<K, X, W, L>(pub(super) ManyWork<K, X, W, L>);

impl<K: Clone + Send + 'static, X, W, L> DetachedMany<K, X, W, L> {
    /// [`ManyWork::run`], computing in a task of its own: one for all ids that fall to this caller.
    ///
    /// # Panics
    /// If `compute` does.
    ///
    /// # Cancel safety
    /// Dropped, the computation goes on, and what it gives is stored.
    pub async fn run<M, F>(self, compute: impl Fn(Vec<K>) -> F + Send + Sync + 'static) -> M
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned + Send + 'static>,
        F: Future<Output = M> + Send + 'static,
        W: OnTimeout<M>,
        L: Keeps<Option<M::Value>>,
    {
        let keeping = self.0.local.keeping();
        let policy = move || Rules::<Whole, Option<M::Value>>::new().kept(keeping);
        drive(self.0.calls, policy, self.0.on_timeout, Arc::new(compute)).await
    }

    /// [`run`](Self::run) for a function that blocks: it runs on a thread of its own. Blocks this thread, too.
    ///
    /// # Panics
    /// If `compute` does.
    pub fn run_blocking<M>(self, compute: impl Fn(Vec<K>) -> M + Send + Sync + 'static) -> M
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned + Send + 'static>,
        W: OnTimeout<M>,
        L: Keeps<Option<M::Value>>,
    {
        let keeping = self.0.local.keeping();
        let policy = move || Rules::<Whole, Option<M::Value>>::new().kept(keeping);
        drive_blocking(self.0.calls, policy, self.0.on_timeout, Arc::new(compute))
    }

    /// [`ManyWork::try_run`], computing in a task of its own.
    ///
    /// # Errors
    /// As of [`ManyWork::try_run`].
    ///
    /// # Panics
    /// If `compute` does.
    ///
    /// # Cancel safety
    /// As of [`run`](Self::run).
    pub async fn try_run<M, E, F>(
        self,
        compute: impl Fn(Vec<K>) -> F + Send + Sync + 'static,
    ) -> Result<M, E>
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned + Send + 'static>,
        E: Send + 'static,
        F: Future<Output = Result<M, E>> + Send + 'static,
        W: OnTimeout<Result<M, E>>,
        X: ErrorRules<E> + Copy + Send + 'static,
        L: Keeps<Option<M::Value>>,
    {
        let (keeping, errors) = (self.0.local.keeping(), self.0.errors);
        let policy = move || {
            Rules::<OkOnly<E>, Option<M::Value>, _, _, _>::with_errors(errors).kept(keeping)
        };
        drive(self.0.calls, policy, self.0.on_timeout, Arc::new(compute)).await
    }

    /// [`try_run`](Self::try_run) for a function that blocks, as [`run_blocking`](Self::run_blocking).
    ///
    /// # Errors
    /// As of [`ManyWork::try_run`].
    ///
    /// # Panics
    /// If `compute` does.
    pub fn try_run_blocking<M, E>(
        self,
        compute: impl Fn(Vec<K>) -> Result<M, E> + Send + Sync + 'static,
    ) -> Result<M, E>
    where
        M: ByKey<Key = K, Value: Serialize + DeserializeOwned + Send + 'static>,
        E: Send + 'static,
        W: OnTimeout<Result<M, E>>,
        X: ErrorRules<E> + Copy + Send + 'static,
        L: Keeps<Option<M::Value>>,
    {
        let (keeping, errors) = (self.0.local.keeping(), self.0.errors);
        let policy = move || {
            Rules::<OkOnly<E>, Option<M::Value>, _, _, _>::with_errors(errors).kept(keeping)
        };
        drive_blocking(self.0.calls, policy, self.0.on_timeout, Arc::new(compute))
    }
}

async fn drive<K, P, R, F>(
    calls: Vec<(K, Call)>,
    policy: impl Fn() -> P + Clone + Send + 'static,
    on_timeout: impl OnTimeout<R>,
    compute: Arc<impl Fn(Vec<K>) -> F + Send + Sync + 'static>,
) -> R
where
    K: Clone + Send + 'static,
    P: Policy<Returned: Send> + Send + 'static,
    R: EachReturned<K, P>,
    F: Future<Output = R> + Send + 'static,
{
    let mut many = many(calls, &policy());
    while let Some(leads) = many.next_detached().await {
        let (policy, compute) = (policy.clone(), Arc::clone(&compute));
        let task = |mut many: Many<'static, K, P>| async move {
            while let Some(missing) = many.next().await {
                many.land(policy(), pin!(compute(missing))).await;
            }
            many.settled()
        };
        many.detach(leads, task).await;
    }
    many.finish_or(on_timeout)
}

fn drive_blocking<K, P, R>(
    calls: Vec<(K, Call)>,
    policy: impl Fn() -> P + Clone + Send + 'static,
    on_timeout: impl OnTimeout<R>,
    compute: Arc<impl Fn(Vec<K>) -> R + Send + Sync + 'static>,
) -> R
where
    K: Clone + Send + 'static,
    P: Policy<Returned: Send> + Send + 'static,
    R: EachReturned<K, P>,
{
    let mut many = many(calls, &policy());
    while let Some(leads) = many.next_detached_blocking() {
        let (policy, compute) = (policy.clone(), Arc::clone(&compute));
        let job = move |mut many: Many<'static, K, P>| {
            while let Some(missing) = many.next_blocking() {
                many.land_blocking(policy(), || compute(missing));
            }
            many.settled()
        };
        many.detach_blocking(leads, job);
    }
    many.finish_or(on_timeout)
}

impl<K, X, W, L> fmt::Debug for DetachedMany<K, X, W, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
