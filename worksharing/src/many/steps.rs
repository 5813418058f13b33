//! The calls of one list of ids, step by step.

use std::collections::HashSet;
use std::fmt;
use std::pin::Pin;

use crate::blocking::block_on;
use crate::each::EachReturned;
use crate::flow::{Asker, Call, End, Ended, Several};
use crate::near::Keeping;
use crate::policy::Policy;
use crate::work::OnTimeout;

/// The ids of one call, on their way.
#[must_use]
pub struct Many<'a, E, P: Policy> {
    /// Those that are kept in this process.
    kept: Vec<(E, P::Returned)>,
    ids: Vec<E>,
    several: Several<'a, P>,
}

/// What is to be computed next, to run detached.
#[must_use]
pub struct ManyLeads<E, P: Policy + 'static> {
    // Boxed, as is what waits for them: so that the caller's future does not carry it.
    many: Box<Many<'static, E, P>>,
    asker: Box<Asker>,
}

/// What ran detached, at its end.
#[must_use]
pub struct Settled<R>(Ended<R>);

impl<'a, E: Clone, P: Policy + 'a> Many<'a, E, P> {
    /// Of ids, each with its value or its call. An id that stands there twice is one.
    pub(crate) fn new(
        entrants: impl IntoIterator<Item = (E, Result<P::Returned, Call>)>,
        keeping: Option<Keeping<P::Shared>>,
    ) -> Self {
        let mut known: HashSet<[u8; 16]> = HashSet::new();
        let (mut kept, mut ids, mut calls) = (Vec::new(), Vec::new(), Vec::new());
        for (id, entrant) in entrants {
            match entrant {
                Ok(value) => kept.push((id, value)),
                Err(call) => {
                    if known.insert(*call.key.digest()) {
                        ids.push(id);
                        calls.push(call);
                    }
                }
            }
        }
        let several = Several::new(calls, keeping);
        Self { kept, ids, several }
    }

    /// What is to be computed next: the ids that nobody has, and nobody computes. `None`: all is settled.
    pub async fn next(&mut self) -> Option<Vec<E>> {
        self.several.next().await;
        let missing = self.missing();
        (!missing.is_empty()).then_some(missing)
    }

    /// [`next`](Self::next), blocking this thread.
    pub fn next_blocking(&mut self) -> Option<Vec<E>> {
        block_on(self.next())
    }

    fn missing(&self) -> Vec<E> {
        let places = self.several.places();
        places.map(|place| self.ids[place].clone()).collect()
    }

    /// Runs the body for them, and shares what comes of it: each id's value with all who wait for that.
    pub async fn land<Q, R>(&mut self, policy: Q, body: Pin<&mut impl Future<Output = R>>)
    where
        Q: Policy<Returned = P::Returned, Shared = P::Shared>,
        R: EachReturned<E, Q>,
    {
        let returned = self.several.compute(body).await;
        let taken = self.take(returned);
        self.share(policy, taken).await;
    }

    /// [`land`](Self::land), on this thread.
    pub fn land_blocking<Q, R>(&mut self, policy: Q, body: impl FnOnce() -> R)
    where
        Q: Policy<Returned = P::Returned, Shared = P::Shared>,
        R: EachReturned<E, Q>,
    {
        let returned = self.several.compute_blocking(body);
        let taken = self.take(returned);
        block_on(self.share(policy, taken));
    }

    /// The values for the ids that were to be computed. From here on no future knows what the body returned: of an error
    /// that borrows, the compiler would lose sight of the lifetime where it checks that a future is `Send`.
    fn take<Q, R>(&self, returned: R) -> Result<Vec<P::Returned>, P::Returned>
    where
        Q: Policy<Returned = P::Returned>,
        R: EachReturned<E, Q>,
    {
        let mut left = returned.split()?;
        let places = self.several.places();
        let values = places.map(|place| R::take(&mut left, &self.ids[place]));
        let values = values.collect();
        if let unasked @ 1.. = R::left(&left) {
            self.several.unasked(unasked);
        }
        Ok(values)
    }

    async fn share<Q>(&mut self, policy: Q, taken: Result<Vec<P::Returned>, P::Returned>)
    where
        Q: Policy<Returned = P::Returned, Shared = P::Shared>,
    {
        match taken {
            Ok(values) => {
                let landings = self.several.landings(&policy, values);
                drop(policy);
                self.several.land(landings).await;
            }
            Err(error) => self.several.fail(policy, error).await,
        }
    }

    /// The values of all ids, or the error that ended it.
    pub fn finish<R: EachReturned<E, P>>(self) -> R {
        self.end().unwrap_or_else(|values| values)
    }

    /// The same, unless it has waited for as long as it may.
    pub fn in_time<R: EachReturned<E, P>>(self) -> Option<R> {
        self.end().ok()
    }

    /// The same, or what is to be returned then.
    pub(super) fn finish_or<R: EachReturned<E, P>>(self, on_timeout: impl OnTimeout<R>) -> R {
        let given = |values| on_timeout.value().unwrap_or(values);
        self.end().unwrap_or_else(given)
    }

    /// What it returns; or what it has, if it has waited for as long as it may.
    fn end<R: EachReturned<E, P>>(self) -> Result<R, R> {
        let (ids, kept) = (self.ids, self.kept);
        let gather = |values: Vec<Option<P::Returned>>| {
            let values = ids.into_iter().zip(values);
            let values = values.filter_map(|(id, value)| Some((id, value?)));
            R::gather(kept.into_iter().chain(values))
        };
        match self.several.finish() {
            Ok(values) => Ok(gather(values)),
            Err(End::Error(error)) => Ok(R::failed(error)),
            Err(End::TimedOut) => Err(gather(Vec::new())),
        }
    }
}

impl<'a, E: Clone, P: Policy + 'static> Many<'a, E, P> {
    /// [`next`](Self::next), for what is to run detached.
    pub async fn next_detached(&mut self) -> Option<ManyLeads<E, P>> {
        self.several.next().await;
        let ids = self.missing();
        let (several, asker) = self.several.detached()?;
        let many = Many {
            kept: Vec::new(),
            ids,
            several,
        };
        Some(ManyLeads {
            many: Box::new(many),
            asker: Box::new(asker),
        })
    }

    /// [`next_detached`](Self::next_detached), blocking this thread.
    pub fn next_detached_blocking(&mut self) -> Option<ManyLeads<E, P>> {
        block_on(self.next_detached())
    }

    /// Runs what `begin` makes of them as a task that belongs to the runtime, and takes what comes of it.
    ///
    /// An `async fn` would keep its arguments.
    pub fn detach<F>(
        &mut self,
        leads: ManyLeads<E, P>,
        begin: impl FnOnce(Many<'static, E, P>) -> F,
    ) -> impl Future<Output = ()>
    where
        F: Future<Output = Settled<P::Returned>> + Send + 'static,
        P::Returned: Send,
    {
        let task = begin(*leads.many);
        let running = Box::pin(leads.asker.run(task));
        async move {
            let ended = running.await;
            self.several.absorb(ended.map(|Settled(ended)| ended));
        }
    }

    /// [`detach`](Self::detach), on a thread of its own.
    pub fn detach_blocking(
        &mut self,
        leads: ManyLeads<E, P>,
        job: impl FnOnce(Many<'static, E, P>) -> Settled<P::Returned> + Send + 'static,
    ) where
        E: Send + 'static,
        P: Send,
        P::Returned: Send,
    {
        let many = leads.many;
        let ended = leads.asker.run_blocking(move || job(*many));
        self.several.absorb(ended.map(|Settled(ended)| ended));
    }

    /// What it tells its caller that ran detached.
    pub fn settled(self) -> Settled<P::Returned> {
        Settled(self.several.finish())
    }
}

impl<E, P: Policy> fmt::Debug for Many<'_, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Many")
            .field("ids", &(self.kept.len() + self.ids.len()))
            .finish_non_exhaustive()
    }
}

impl<E, P: Policy> fmt::Debug for ManyLeads<E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManyLeads").field(&self.many).finish()
    }
}

impl<R> fmt::Debug for Settled<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settled").finish_non_exhaustive()
    }
}
