//! Calls of many keys at once: all look, try their locks and wait side by side, so that what they ask of a server goes as
//! one batch; what falls to this caller is computed by one body, and landed before anybody is waited for.
//!
//! So nobody holds a lead while it waits for another one: two callers with the same keys in another order do not wait for
//! each other. As soon as none of the calls has anything on its way but waits, what this caller leads is to be computed.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use std::vec;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, Stream};

use super::{Acquired, Call, Leading, Led, ancestry, begin, failed, outcome, product, suspended};
use crate::background::until;
use crate::blocking;
use crate::flow::lead::Product;
use crate::policy::Policy;

/// So many calls are under way at a time: about as many keys as a process may hold.
const AT_ONCE: usize = 1_000;

/// How long this caller's leads wait for what else is on its way: the answers of servers, which come soon.
const PATIENCE: Duration = Duration::from_millis(100);

/// The calls of several keys, each on its way to a value or to the body.
pub(crate) struct Several<'a, P: Policy> {
    waiting: vec::IntoIter<(usize, Call)>,
    under_way: FuturesUnordered<UnderWay<'a, P::Returned>>,
    busy: Arc<AtomicUsize>,
    leads: Vec<(usize, Leading)>,
    /// What each returns, by its place.
    outcomes: Vec<Option<P::Returned>>,
    /// An error, which ends all of it.
    error: Option<P::Returned>,
}

impl<'a, P: Policy + 'a> Several<'a, P> {
    pub(crate) fn new(calls: Vec<Call>) -> Self {
        let outcomes = calls.iter().map(|_| None).collect();
        let waiting: Vec<_> = calls.into_iter().enumerate().collect();
        Self {
            waiting: waiting.into_iter(),
            under_way: FuturesUnordered::new(),
            busy: Arc::default(),
            leads: Vec::new(),
            outcomes,
            error: None,
        }
    }

    /// The places of what is to be computed next. None: all is settled.
    ///
    /// # Cancel safety
    /// Dropped, it may be called again; dropped with all the rest, it leaves nothing behind.
    pub(crate) async fn next(&mut self) -> Vec<usize> {
        poll_fn(|context| match self.poll(context) {
            Poll::Pending if self.leads.is_empty() => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
        if !self.leads.is_empty() {
            let soon = Instant::now() + PATIENCE;
            until(pin!(poll_fn(|context| self.poll(context))), Some(soon)).await;
        }
        if self.error.is_some() {
            self.leads.clear();
        }
        self.leads.sort_by_key(|(place, _)| *place);
        self.leads.iter().map(|(place, _)| *place).collect()
    }

    /// Until an error, or until there is nothing to wait for but other leads.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            self.admit();
            match Pin::new(&mut self.under_way).poll_next(context) {
                Poll::Ready(Some((place, acquired))) => self.acquired(place, acquired),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
            if self.error.is_some() {
                return Poll::Ready(());
            }
        }
        if self.busy.load(Ordering::Relaxed) > 0 {
            return Poll::Pending;
        }
        if !self.leads.is_empty() {
            return Poll::Ready(());
        }
        if blocking::is_blocking() {
            blocking::waits_for_lead();
        }
        Poll::Pending
    }

    fn admit(&mut self) {
        while self.under_way.len() + self.leads.len() < AT_ONCE {
            let Some((place, mut call)) = self.waiting.next() else {
                return;
            };
            let step = Busy::new(&self.busy);
            call.options.rare_mut().busy = Some(step.clone());
            let call = Box::pin(begin::<P>(call, None));
            self.under_way.push(UnderWay { place, call, step });
        }
    }

    fn acquired(&mut self, place: usize, acquired: Acquired<P::Returned>) {
        match acquired {
            Acquired::Value(value) if P::is_error(&value) => self.error = Some(value),
            Acquired::Value(value) => self.outcomes[place] = Some(value),
            Acquired::Lead(lead) | Acquired::TimedOut(lead) => self.leads.push((place, lead)),
        }
    }

    /// Runs the body of what was to be computed next.
    pub(crate) async fn compute<F: Future>(&mut self, body: Pin<&mut F>) -> F::Output {
        let framed = pin!(self.computing().within(body));
        suspended::counted(framed).await
    }

    /// [`compute`](Self::compute), on this thread.
    pub(crate) fn compute_blocking<R>(&mut self, body: impl FnOnce() -> R) -> R {
        let keys = self.computing();
        let _frames = keys.enter();
        body()
    }

    fn computing(&mut self) -> ancestry::Inherited {
        self.leads
            .iter_mut()
            .for_each(|(_, lead)| lead.0.begin_body());
        ancestry::Inherited::of(self.leads.iter().map(|(_, lead)| lead.0.call.id()))
    }

    /// What the body returned, about to be shared: for each place that was to be computed its value.
    pub(crate) fn landings(
        &mut self,
        policy: &P,
        values: Vec<P::Returned>,
    ) -> Vec<impl Future<Output = (usize, P::Returned)> + use<P>> {
        let leads = std::mem::take(&mut self.leads).into_iter();
        let landing =
            |((place, lead), value): ((usize, Leading), _)| land(place, *lead.0, policy, value);
        leads.zip(values).map(landing).collect()
    }

    /// Shares it.
    pub(crate) async fn land(&mut self, landings: Vec<impl Future<Output = (usize, P::Returned)>>) {
        // Boxed, so that the caller's future does not carry it.
        for (place, value) in Box::pin(join_all(landings)).await {
            self.outcomes[place] = Some(value);
        }
    }

    /// Shares the error that the body ended in, which ends this call, unless there is an older value for every key.
    pub(crate) async fn fail(&mut self, policy: P, error: P::Returned) {
        let mut is_told = false;
        for (place, lead) in std::mem::take(&mut self.leads) {
            let Led { call, stage, .. } = *lead.0;
            let mut lead = stage.into_lead();
            let product = match failed::<P>(&call, &mut lead) {
                Some((value, older)) => {
                    self.outcomes[place] = Some(value);
                    Product::Older(older)
                }
                None => {
                    call.track.failed();
                    product::of(&call, &lead, &policy, &error)
                }
            };
            let landed = Box::pin(lead.finish(&call, product)).await;
            landed.land(|| product::error(&call, &policy, &error));
            is_told |= self.outcomes[place].is_none();
        }
        if is_told {
            self.error = Some(error);
        }
    }

    /// What each call returns, in their order; or the error.
    pub(crate) fn finish(self) -> Result<Vec<Option<P::Returned>>, P::Returned> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.outcomes),
        }
    }
}

fn land<P: Policy>(
    place: usize,
    led: Led,
    policy: &P,
    returned: P::Returned,
) -> impl Future<Output = (usize, P::Returned)> + use<P> {
    let Led { call, stage, .. } = led;
    let mut lead = stage.into_lead();
    let (returned, product) = outcome(&call, &mut lead, policy, returned);
    async move {
        let mut finishing = pin!(lead.finish(&call, product));
        drop(suspended::counted(finishing.as_mut()).await);
        (place, returned)
    }
}

/// One of the calls.
struct UnderWay<'a, R> {
    place: usize,
    call: Pin<Box<dyn Future<Output = Acquired<R>> + Send + 'a>>,
    step: Busy,
}

impl<R> Future for UnderWay<'_, R> {
    type Output = (usize, Acquired<R>);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = blocking::poll_one_of_several(|| self.call.as_mut().poll(context));
        let acquired = ready!(polled);
        self.step.over();
        Poll::Ready((self.place, acquired))
    }
}

/// One of several calls that has something on its way that comes soon; until it waits for another lead.
#[derive(Clone)]
pub(crate) struct Busy(Arc<Step>);

struct Step {
    busy: Arc<AtomicUsize>,
    is_over: AtomicBool,
}

impl Busy {
    fn new(busy: &Arc<AtomicUsize>) -> Self {
        busy.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Step {
            busy: Arc::clone(busy),
            is_over: AtomicBool::new(false),
        }))
    }

    pub(super) fn over(&self) {
        if !self.0.is_over.swap(true, Ordering::Relaxed) {
            self.0.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Busy").field(&self.0.is_over).finish()
    }
}
