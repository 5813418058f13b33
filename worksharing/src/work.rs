use std::fmt;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::blocking::block_on;
use crate::flow::{self, Acquired, Call, Jitter, Leading, Options};
use crate::near::{Keeping, Local};
use crate::policy::{
    AllFor, CacheErrors, CloneErrors, ErrorRules, Errors, OkOnly, Policy, Rules, ShareErrors, Whole,
};
use crate::{Entry, Error, Key, WorkSharing};

/// One piece of work: its key, and how its value is kept. What the attribute makes of a call, and the
/// gist's function by hand.
///
/// ```
/// use std::time::Duration;
/// use worksharing::WorkSharing;
///
/// let sharing = WorkSharing::in_memory();
/// let report = || sharing.work("report:2024:DE").ttl(Duration::from_secs(60));
///
/// assert_eq!(report().run_blocking(|| 6 * 7), 42);
/// assert_eq!(report().run_blocking(|| unreachable!("it is stored")), 42);
/// assert_eq!(report().peek_blocking(), Some(42));
/// ```
#[must_use = "nothing happens until it is run, peeked at or invalidated"]
pub struct Work<T, W = Computes, X = Errors> {
    call: Call,
    on_timeout: W,
    errors: X,
    /// How the value is kept in this process, if it is.
    keeping: Option<Keeping<T>>,
    value: PhantomData<fn() -> T>,
}

/// Who has waited for too long computes: what a [`Work`] does without [`on_timeout`](Work::on_timeout).
#[derive(Debug, Clone, Copy)]
pub struct Computes;

/// Who has waited for too long gets what this gives.
#[derive(Debug, Clone, Copy)]
pub struct Gives<F>(F);

impl<F> Gives<F> {
    pub(crate) fn by(value: F) -> Self {
        Self(value)
    }
}

/// What a caller does that has waited for too long.
pub trait Timeout {
    /// Whether it computes.
    const COMPUTES: bool;
}

impl Timeout for Computes {
    const COMPUTES: bool = true;
}

impl<F> Timeout for Gives<F> {
    const COMPUTES: bool = false;
}

/// What a caller gets that has waited for too long.
pub trait OnTimeout<R>: Timeout {
    /// `None`: it computes.
    fn value(self) -> Option<R>;
}

impl<R> OnTimeout<R> for Computes {
    fn value(self) -> Option<R> {
        None
    }
}

impl<R, F: FnOnce() -> R> OnTimeout<R> for Gives<F> {
    fn value(self) -> Option<R> {
        Some((self.0)())
    }
}

impl<T> Work<T> {
    pub(crate) fn new(sharing: &WorkSharing, key: Key) -> Self {
        let call = Call::new(
            Arc::clone(sharing.runtime()),
            key,
            "work",
            Options::default(),
        );
        Self::of(call)
    }

    pub(crate) fn of(call: Call) -> Self {
        Self {
            call,
            on_timeout: Computes,
            errors: Errors::KEPT,
            keeping: None,
            value: PhantomData,
        }
    }
}

impl<T, W, X> Work<T, W, X> {
    pub(crate) fn into_call(self) -> Call {
        self.call
    }

    /// How long the stored value lives. Left out: [`Builder::default_ttl`](crate::Builder::default_ttl).
    /// Zero means that it is not stored, with a warning.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.call.options.ttl = Some(ttl);
        self
    }

    /// Whether to compute without looking, under the lock, and to store the result: the gist's
    /// `force_update`.
    pub fn force_refresh(mut self, force_refresh: bool) -> Self {
        self.call.options.force_refresh = force_refresh;
        self
    }

    /// Stores `None` like any other value. Left out, it is not stored, as in the gist.
    pub fn cache_none(mut self) -> Self {
        self.call.options.cache_none = true;
        self
    }

    /// A number that is part of the type fingerprint: values stored with another one are misses. For when a
    /// value's meaning changes and its structure does not.
    pub fn version(mut self, version: u32) -> Self {
        self.call.options.version = version;
        self
    }

    /// After [`ttl`](Self::ttl), for this long, callers get the old value at once, while one of them in all processes
    /// computes anew: in the background with [`detach`](Self::detach), else that one waits. Nobody else does.
    pub fn stale_while_revalidate(mut self, time: Duration) -> Self {
        self.call.options.rare_mut().stale_while_revalidate = time;
        self
    }

    /// Where the computation fails, an older value is returned instead of the error: for this long after
    /// [`ttl`](Self::ttl). This process then does not try again for
    /// [`Builder::retry_after`](crate::Builder::retry_after).
    pub fn stale_if_error(mut self, time: Duration) -> Self {
        self.call.options.rare_mut().stale_if_error = time;
        self
    }

    /// One caller in all processes computes anew before the value expires: some time more than a computation takes
    /// before, times `beta`, which is usually 1. Nothing happens with a `beta` of zero or less.
    pub fn early_refresh(mut self, beta: f64) -> Self {
        self.call.options.rare_mut().early_refresh = Some(beta);
        self
    }

    /// Shortens the time to live of each value by a random part of at most this, so that keys that were stored together
    /// do not expire together.
    pub fn jitter(mut self, most: Duration) -> Self {
        self.call.options.rare_mut().jitter = Some(Jitter::Time(most));
        self
    }

    /// How long a caller waits for somebody else's computation, or for its own if it is [detached](Self::detach). Then
    /// it takes an old value, if there is one that the options let it; else it computes, without the lock, sharing with
    /// the others of its process that have waited for as long, or gets what [`on_timeout`](Self::on_timeout) says.
    pub fn wait(mut self, time: Duration) -> Self
    where
        W: Timeout,
    {
        let rare = self.call.options.rare_mut();
        rare.wait = Some(time);
        rare.overflow = W::COMPUTES;
        self
    }

    /// What a caller gets that has waited for as long as [`wait`](Self::wait) says.
    pub fn on_timeout<R, F: FnOnce() -> R>(mut self, value: F) -> Work<T, Gives<F>, X> {
        self.call.options.rare_mut().overflow = false;
        Work {
            call: self.call,
            on_timeout: Gives(value),
            errors: self.errors,
            keeping: self.keeping,
            value: PhantomData,
        }
    }

    /// Also keeps the value in this process, decoded, for at most this long and for as long as it is fresh, and gives out
    /// clones of it, with no server asked. A change that is made through worksharing, in whatever process, reaches it
    /// within milliseconds, by a notification of PostgreSQL. While that cannot be heard a value is used for at most
    /// [`Builder::max_local_age`](crate::Builder::max_local_age). For large values, share an `Arc`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use worksharing::WorkSharing;
    ///
    /// let sharing = WorkSharing::in_memory();
    /// let report = || sharing.work("report").local(Duration::from_secs(5));
    /// assert_eq!(report().run_blocking(|| 42), 42);
    /// assert_eq!(report().run_blocking(|| unreachable!("it is kept")), 42);
    /// assert_eq!(sharing.stats().local, 1);
    /// ```
    pub fn local(mut self, time: Duration) -> Self
    where
        T: Local,
    {
        self.call.options.rare_mut().local = time;
        self.keeping = (!time.is_zero()).then(Keeping::new);
        self
    }

    /// The computation belongs to the runtime, and not to the caller: one that goes away does not end it.
    pub fn detach(mut self) -> Detached<T, W, X> {
        self.call.options.detach = true;
        Detached(self)
    }

    /// What else invalidates it: [`WorkSharing::invalidate_tag`] removes every value with this tag. Looked at beside the
    /// value, in the same round trip. A value belongs to the tags that it was stored with, in whatever order: another
    /// function, or a reader by hand, with the same key and other tags does not see it.
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        let key = self.call.runtime.tag(tag.as_ref());
        let rare = self.call.options.rare_mut();
        rare.add_tag(key);
        rare.salt.add(format_args!("{}", tag.as_ref()));
        self
    }

    /// The same of several.
    pub fn tags(self, tags: impl IntoIterator<Item: AsRef<str>>) -> Self {
        tags.into_iter().fold(self, Self::tag)
    }

    /// A label for logs.
    pub fn name(mut self, name: &'static str) -> Self {
        self.call.track.function = self.call.runtime.events.function(name);
        self
    }

    /// The key, namespace included.
    pub fn key(&self) -> &Key {
        &self.call.key
    }

    /// The statement by which a transaction invalidates this key: it comes into effect with the commit, and not at all if
    /// the transaction is rolled back. Text of the key is quoted in it. With
    /// [`Builder::transactional_invalidation`](crate::Builder::transactional_invalidation).
    ///
    /// ```
    /// let sharing = worksharing::WorkSharing::in_memory();
    /// let sql = sharing.work::<u32>("report:2024").invalidation_sql();
    /// assert_eq!(sql, "SELECT worksharing_invalidate('report:2024')");
    /// ```
    ///
    /// The namespace is left out: every runtime on the same table puts its own before it. PostgreSQL refuses a statement
    /// with the character NUL in it, and a key of more than 64 KiB is not invalidated so.
    #[cfg(feature = "postgres")]
    #[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
    pub fn invalidation_sql(&self) -> String {
        self.call.runtime.invalidation_sql(&self.call.key)
    }

    /// Removes the stored value. A computation that is under way will not store its result.
    ///
    /// # Errors
    /// The store cannot be reached: the value may still be there.
    ///
    /// # Cancel safety
    /// Dropped, the removal may or may not happen.
    pub async fn invalidate(self) -> Result<(), Error> {
        self.call.invalidate().await
    }

    /// [`invalidate`](Self::invalidate), blocking this thread.
    ///
    /// # Errors
    /// The store cannot be reached: the value may still be there.
    pub fn invalidate_blocking(self) -> Result<(), Error> {
        block_on(self.invalidate())
    }
}

impl<T, W, X, D> Work<T, W, Errors<X, D>> {
    /// Gives clones of an error to all who wait for it in this process. Left out, an error is its own caller's, and the
    /// next one computes.
    pub fn clone_errors(self) -> Work<T, W, Errors<CloneErrors, D>> {
        self.map_errors(|errors| errors.shared(CloneErrors))
    }

    /// Gives each who waits for an error in this process one that `share` makes of it: for errors that are not `Clone`,
    /// or that are to say whose they were. The caller whose computation it is returns the error itself.
    pub fn share_err<E, F>(self, share: F) -> Work<T, W, Errors<ShareErrors<F>, D>>
    where
        E: Send + 'static,
        F: Fn(&E) -> E,
    {
        self.map_errors(|errors| errors.shared(ShareErrors(share)))
    }

    /// Stores errors, and returns them to all callers in all processes, for this long; not in place of a value that is
    /// fresh, or that [`stale_if_error`](Self::stale_if_error) or
    /// [`stale_while_revalidate`](Self::stale_while_revalidate) lets be returned. Nothing with zero.
    pub fn cache_err(self, time: Duration) -> Work<T, W, Errors<X, CacheErrors<AllFor>>> {
        self.map_errors(|errors| errors.cached(CacheErrors(AllFor(time))))
    }

    /// [`cache_err`](Self::cache_err), for as long as `time` says of each error.
    pub fn cache_err_by<E, F>(self, time: F) -> Work<T, W, Errors<X, CacheErrors<F>>>
    where
        E: Serialize + DeserializeOwned,
        F: Fn(&E) -> Duration,
    {
        self.map_errors(|errors| errors.cached(CacheErrors(time)))
    }

    fn map_errors<N>(self, map: impl FnOnce(Errors<X, D>) -> N) -> Work<T, W, N> {
        Work {
            call: self.call,
            on_timeout: self.on_timeout,
            errors: map(self.errors),
            keeping: self.keeping,
            value: PhantomData,
        }
    }
}

impl<T: Serialize + DeserializeOwned, W, X> Work<T, W, X> {
    /// The value: the stored one, or another caller's who is computing it now, or else what `compute`
    /// returns. A `None` is returned to all who wait for it, and not stored. For what may fail there is
    /// [`try_run`](Self::try_run).
    ///
    /// # Panics
    /// If `compute` does. Another caller, if one waits, takes over.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind: the lock is released, and another caller takes over.
    pub async fn run(self, compute: impl AsyncFnOnce() -> T) -> T
    where
        W: OnTimeout<T>,
    {
        let policy = Rules::<Whole, T>::new().kept(self.keeping);
        match begin(self.call, &policy).await.or(self.on_timeout) {
            Ok(value) => value,
            Err(lead) => lead.land(policy, pin!(compute())).await,
        }
    }

    /// [`run`](Self::run), blocking this thread. Also from inside an async runtime, whose thread it then
    /// blocks.
    ///
    /// # Panics
    /// If `compute` does.
    pub fn run_blocking(self, compute: impl FnOnce() -> T) -> T
    where
        W: OnTimeout<T>,
    {
        let policy = Rules::<Whole, T>::new().kept(self.keeping);
        match block_on(begin(self.call, &policy)).or(self.on_timeout) {
            Ok(value) => value,
            Err(lead) => lead.land_blocking(policy, compute),
        }
    }

    /// [`run`](Self::run) for what may fail, with any type of error: only `Ok` is shared.
    ///
    /// # Errors
    /// What `compute` returns to this very caller; with [`clone_errors`](Self::clone_errors), also to one that this
    /// caller has waited for.
    ///
    /// # Panics
    /// If `compute` does.
    ///
    /// # Cancel safety
    /// As of [`run`](Self::run).
    pub async fn try_run<E>(self, compute: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E>
    where
        W: OnTimeout<Result<T, E>>,
        X: ErrorRules<E>,
    {
        let policy = Rules::<OkOnly<E>, T, _, _, _>::with_errors(self.errors).kept(self.keeping);
        match begin(self.call, &policy).await.or(self.on_timeout) {
            Ok(value) => value,
            Err(lead) => lead.land(policy, pin!(compute())).await,
        }
    }

    /// [`try_run`](Self::try_run), blocking this thread.
    ///
    /// # Errors
    /// As of [`try_run`](Self::try_run).
    ///
    /// # Panics
    /// If `compute` does.
    pub fn try_run_blocking<E>(self, compute: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        W: OnTimeout<Result<T, E>>,
        X: ErrorRules<E>,
    {
        let policy = Rules::<OkOnly<E>, T, _, _, _>::with_errors(self.errors).kept(self.keeping);
        match block_on(begin(self.call, &policy)).or(self.on_timeout) {
            Ok(value) => value,
            Err(lead) => lead.land_blocking(policy, compute),
        }
    }

    /// Computes without looking, under the lock, and stores: [`run`](Self::run) with
    /// [`force_refresh`](Self::force_refresh). Refreshes of one key that are asked for at the same time share: each is
    /// served by any computation that began after it was asked for.
    ///
    /// # Panics
    /// If `compute` does.
    ///
    /// # Cancel safety
    /// As of [`run`](Self::run).
    pub async fn refresh(self, compute: impl AsyncFnOnce() -> T) -> T
    where
        W: OnTimeout<T>,
    {
        self.force_refresh(true).run(compute).await
    }

    /// [`refresh`](Self::refresh), blocking this thread.
    ///
    /// # Panics
    /// If `compute` does.
    pub fn refresh_blocking(self, compute: impl FnOnce() -> T) -> T
    where
        W: OnTimeout<T>,
    {
        self.force_refresh(true).run_blocking(compute)
    }

    /// The stored value, if [`run`](Self::run) would return it without waiting. Never computes, never waits for whoever
    /// does.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind.
    pub async fn peek(self) -> Option<T> {
        flow::peek(self.call).await
    }

    /// [`peek`](Self::peek), blocking this thread.
    pub fn peek_blocking(self) -> Option<T> {
        block_on(self.peek())
    }

    /// The stored value with its age, if there is one that [`run`](Self::run) could return: be it past its time to live, as
    /// `stale_while_revalidate` and `stale_if_error` let it. Never computes.
    ///
    /// # Cancel safety
    /// Dropped, it leaves nothing behind.
    pub async fn entry(self) -> Option<Entry<T>> {
        flow::entry(self.call).await
    }

    /// [`entry`](Self::entry), blocking this thread.
    pub fn entry_blocking(self) -> Option<Entry<T>> {
        block_on(self.entry())
    }
}

/// The flow of a call with this policy.
fn begin<P: Policy>(
    call: Call,
    policy: &P,
) -> impl Future<Output = Acquired<P::Returned>> + use<P> {
    let keeping = policy.keeping();
    async move {
        match call.find(keeping) {
            Some(kept) => Acquired::Value(P::from_shared(kept)),
            None => flow::begin::<P>(call, keeping).await,
        }
    }
}

impl<R> Acquired<R> {
    /// A value, or the right to compute one.
    fn or(self, on_timeout: impl OnTimeout<R>) -> Result<R, Leading> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Lead(lead) => Err(lead),
            Self::TimedOut(alone) => on_timeout.value().ok_or(alone),
        }
    }
}

/// A [`Work`] whose computation belongs to the runtime: see [`Work::detach`]. What it computes with is taken along, so
/// that it owns all it needs.
///
/// ```
/// use worksharing::WorkSharing;
///
/// let sharing = WorkSharing::in_memory();
/// let name = "world".to_owned();
/// let greeting = sharing.work("greeting").detach().run_blocking(move || format!("hello, {name}"));
/// assert_eq!(greeting, "hello, world");
/// ```
#[must_use = "nothing happens until it is run"]
pub struct Detached<T, W = Computes, X = Errors>(Work<T, W, X>);

impl<T: Serialize + DeserializeOwned + Send + 'static, W, X> Detached<T, W, X> {
    /// [`Work::run`], computing in a task of its own.
    ///
    /// # Panics
    /// If `compute` does.
    ///
    /// # Cancel safety
    /// Dropped, the computation goes on, and what it gives is stored.
    pub async fn run<F>(self, compute: impl FnOnce() -> F + Send + 'static) -> T
    where
        F: Future<Output = T> + Send + 'static,
        W: OnTimeout<T>,
    {
        let Work {
            call,
            on_timeout,
            keeping,
            ..
        } = self.0;
        let policy = Rules::<Whole, T>::new().kept(keeping);
        land(call, on_timeout, policy, compute).await
    }

    /// [`Work::try_run`], computing in a task of its own.
    ///
    /// # Errors
    /// As of [`Work::try_run`].
    ///
    /// # Panics
    /// If `compute` does.
    ///
    /// # Cancel safety
    /// As of [`run`](Self::run).
    pub async fn try_run<E, F>(self, compute: impl FnOnce() -> F + Send + 'static) -> Result<T, E>
    where
        E: Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        W: OnTimeout<Result<T, E>>,
        X: ErrorRules<E> + Send + 'static,
    {
        let Work {
            call,
            on_timeout,
            errors,
            keeping,
            ..
        } = self.0;
        let policy = Rules::<OkOnly<E>, T, _, _, _>::with_errors(errors).kept(keeping);
        land(call, on_timeout, policy, compute).await
    }

    /// [`run`](Self::run) for a function that blocks: it runs on a thread of its own. Blocks this thread, too.
    ///
    /// # Panics
    /// If `compute` does.
    pub fn run_blocking(self, compute: impl FnOnce() -> T + Send + 'static) -> T
    where
        W: OnTimeout<T>,
    {
        let Work {
            call,
            on_timeout,
            keeping,
            ..
        } = self.0;
        let policy = Rules::<Whole, T>::new().kept(keeping);
        land_blocking(call, on_timeout, policy, compute)
    }

    /// [`try_run`](Self::try_run) for a function that blocks, as [`run_blocking`](Self::run_blocking).
    ///
    /// # Errors
    /// As of [`Work::try_run`].
    ///
    /// # Panics
    /// If `compute` does.
    pub fn try_run_blocking<E>(
        self,
        compute: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        E: Send + 'static,
        W: OnTimeout<Result<T, E>>,
        X: ErrorRules<E> + Send + 'static,
    {
        let Work {
            call,
            on_timeout,
            errors,
            keeping,
            ..
        } = self.0;
        let policy = Rules::<OkOnly<E>, T, _, _, _>::with_errors(errors).kept(keeping);
        land_blocking(call, on_timeout, policy, compute)
    }
}

async fn land<P, F, W>(
    call: Call,
    on_timeout: W,
    policy: P,
    compute: impl FnOnce() -> F + Send + 'static,
) -> P::Returned
where
    P: Policy<Returned = F::Output> + Send + 'static,
    F: Future<Output: Send> + Send + 'static,
    W: OnTimeout<F::Output>,
{
    let lead = match begin(call, &policy).await {
        Acquired::Value(value) => return value,
        Acquired::Lead(lead) => lead,
        Acquired::TimedOut(alone) => match on_timeout.value() {
            Some(value) => return value,
            None => return alone.land(policy, pin!(compute())).await,
        },
    };
    let task = async |lead: Leading| lead.land(policy, pin!(compute())).await;
    match flow::detach::<P, _>(lead, task).await {
        Ok(returned) => returned,
        Err(rest) => match on_timeout.value() {
            Some(value) => value,
            None => rest.await,
        },
    }
}

fn land_blocking<P, W>(
    call: Call,
    on_timeout: W,
    policy: P,
    compute: impl FnOnce() -> P::Returned + Send + 'static,
) -> P::Returned
where
    P: Policy<Returned: Send + 'static> + Send + 'static,
    W: OnTimeout<P::Returned>,
{
    let lead = match block_on(begin(call, &policy)) {
        Acquired::Value(value) => return value,
        Acquired::Lead(lead) => lead,
        Acquired::TimedOut(alone) => match on_timeout.value() {
            Some(value) => return value,
            None => return alone.land_blocking(policy, compute),
        },
    };
    match flow::detach_blocking::<P>(lead, |lead| lead.land_blocking(policy, compute)) {
        Ok(returned) => returned,
        Err(rest) => on_timeout.value().unwrap_or_else(rest),
    }
}

impl<T, W, X> fmt::Debug for Work<T, W, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(f)
    }
}

impl<T, W, X> fmt::Debug for Detached<T, W, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
