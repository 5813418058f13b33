//! Calls of many keys at once: all look, try their locks and wait side by side, so that what they ask of a server goes as
//! one batch; what falls to this caller is computed by one body, and landed before anybody is waited for.
//!
//! So nobody holds a lead while it waits for another one: two callers with the same keys in another order do not wait for
//! each other. As soon as none of the calls has anything on its way but waits, what this caller leads is to be computed.

mod batch;
mod detached;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use std::vec;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, Stream};

use self::batch::Batch;
pub(crate) use self::batch::InBatch;
pub(crate) use self::detached::Asker;
use super::{Acquired, Call, Leading, Led, ancestry, begin, failed, finish, product, put, resume};
use super::{Product, Stage, suspended};
use crate::background::until;
use crate::blocking;
use crate::events::Event;
use crate::near::Keeping;
use crate::policy::Policy;
use crate::together::{self, together};

/// So many calls are under way at a time: about as many keys as a process may hold.
const AT_ONCE: usize = 1_000;

/// How long this caller's leads wait for what else is on its way: the answers of servers, which come soon.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long leads that others gave up wait for what those give up besides, so that all of it is one more batch.
const GRACE: Duration = Duration::from_millis(20);

/// The calls of several keys, each on its way to a value or to the body.
pub(crate) struct Several<'a, P: Policy> {
    waiting: vec::IntoIter<(usize, Start)>,
    under_way: FuturesUnordered<UnderWay<'a, P::Returned>>,
    batch: Arc<Batch>,
    leads: Vec<(usize, Leading)>,
    /// Some of them are there because another one failed.
    is_handed_down: bool,
    /// What each returns, by its place.
    outcomes: Vec<Option<P::Returned>>,
    /// What ends all of it.
    end: Option<End<P::Returned>>,
    keeping: Option<Keeping<P::Shared>>,
}

/// Where a call begins.
enum Start {
    Look(Box<Call>),
    Lead(Leading),
}

/// What all calls together come to.
pub(crate) enum End<R> {
    Error(R),
    /// One of them has waited for as long as it may.
    TimedOut,
}

/// What each call returns, in their order, or what ends all of them.
pub(crate) type Ended<R> = Result<Vec<Option<R>>, End<R>>;

impl<'a, P: Policy + 'a> Several<'a, P> {
    pub(crate) fn new(calls: Vec<Call>, keeping: Option<Keeping<P::Shared>>) -> Self {
        // Those that begin later have no more time than the others.
        let now = Instant::now();
        let start = |mut call: Call| {
            let wait = call.options.rare().wait;
            call.deadline = wait.and_then(|wait| now.checked_add(wait));
            Start::Look(Box::new(call))
        };
        Self::of(calls.into_iter().map(start), keeping)
    }

    fn of(starts: impl Iterator<Item = Start>, keeping: Option<Keeping<P::Shared>>) -> Self {
        let waiting: Vec<_> = starts.enumerate().collect();
        Self {
            outcomes: waiting.iter().map(|_| None).collect(),
            waiting: waiting.into_iter(),
            under_way: FuturesUnordered::new(),
            batch: Arc::default(),
            leads: Vec::new(),
            is_handed_down: false,
            end: None,
            keeping,
        }
    }

    /// Goes on until something is to be computed, the [`places`](Self::places), or all is settled.
    ///
    /// # Cancel safety
    /// Dropped, it may be called again; dropped with all the rest, it leaves nothing behind.
    pub(crate) async fn next(&mut self) {
        while self.leads.is_empty() && !self.progress().await {}
        if !self.leads.is_empty() {
            let soon = Instant::now() + PATIENCE;
            until(pin!(poll_fn(|context| self.poll(context))), Some(soon)).await;
        }
        if std::mem::take(&mut self.is_handed_down) {
            let soon = Instant::now() + GRACE;
            let all = poll_fn(|context| match self.poll(context) {
                Poll::Ready(()) if self.is_waiting() => Poll::Pending,
                polled => polled,
            });
            until(pin!(all), Some(soon)).await;
        }
        if self.end.is_some() {
            self.leads.clear();
        }
        self.leads.sort_by_key(|(place, _)| *place);
    }

    /// Until something is led, or all is settled: then true. False: those who wait for each other have waited for long
    /// enough.
    async fn progress(&mut self) -> bool {
        let is_gathering = self.batch.is_gathering();
        let limit = is_gathering.then(|| Instant::now() + PATIENCE);
        let polled = poll_fn(|context| match self.poll(context) {
            Poll::Pending if !self.leads.is_empty() => Poll::Ready(true),
            Poll::Pending if !is_gathering && self.batch.is_gathering() => Poll::Ready(false),
            polled => polled.map(|()| true),
        });
        let polled = until(pin!(polled), limit).await;
        if polled.is_none() {
            self.batch.open();
        }
        polled.unwrap_or(false)
    }

    fn is_waiting(&self) -> bool {
        self.end.is_none() && !self.under_way.is_empty()
    }

    /// Of what is to be computed next. None: all is settled.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        self.leads.iter().map(|(place, _)| *place)
    }

    /// Until the end of all, or until there is nothing to wait for but other leads.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.end.is_none() {
            self.admit();
            match together(|| Pin::new(&mut self.under_way).poll_next(context)) {
                Poll::Ready(Some(ended)) => self.acquired(ended),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending if self.batch.is_gathered() => self.batch.open(),
                Poll::Pending if self.batch.is_busy() => return Poll::Pending,
                Poll::Pending if !self.leads.is_empty() => return Poll::Ready(()),
                Poll::Pending => {
                    if blocking::is_blocking() {
                        blocking::waits_for_lead();
                    }
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    }

    fn admit(&mut self) {
        while self.under_way.len() + self.leads.len() < AT_ONCE {
            let Some((place, start)) = self.waiting.next() else {
                return;
            };
            let (step, keeping) = (InBatch::new(&self.batch), self.keeping);
            let join = |call: &mut Call| call.options.rare_mut().batch = Some(step.clone());
            let call: Pin<Box<dyn Future<Output = _> + Send + 'a>> = match start {
                Start::Look(mut call) => {
                    join(&mut call);
                    Box::pin(begin::<P>(*call, keeping))
                }
                Start::Lead(mut lead) => {
                    join(&mut lead.0.call);
                    Box::pin(resumed::<P>(lead, keeping))
                }
            };
            self.under_way.push(UnderWay { place, call, step });
        }
    }

    fn acquired(&mut self, (place, acquired, has_waited): Met<P::Returned>) {
        match acquired {
            Acquired::Value(value) if P::is_error(&value) => self.end = Some(End::Error(value)),
            Acquired::Value(value) => self.outcomes[place] = Some(value),
            Acquired::Lead(lead) => {
                self.leads.push((place, lead));
                self.is_handed_down |= has_waited;
            }
            Acquired::TimedOut(_) => self.end = Some(End::TimedOut),
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
        ancestry::Inherited::of(self.calls().map(Call::id))
    }

    /// Of what is being computed.
    fn calls(&self) -> impl Iterator<Item = &Call> {
        self.leads.iter().map(|(_, lead)| &lead.0.call)
    }

    /// The body gave values that nobody asked for.
    pub(crate) fn unasked(&self, values: usize) {
        if let Some(call) = self.calls().next() {
            call.record(Event::Unasked(values));
        }
    }

    /// What the body returned, about to be shared: for each place that was to be computed its value.
    pub(crate) fn landings<Q>(
        &mut self,
        policy: &Q,
        values: Vec<P::Returned>,
    ) -> Vec<impl Future<Output = (usize, P::Returned)> + use<P, Q>>
    where
        Q: Policy<Returned = P::Returned, Shared = P::Shared>,
    {
        let leads = std::mem::take(&mut self.leads).into_iter();
        let landing = |((place, lead), value): ((usize, Leading), _)| {
            let putting = put(*lead.0, policy, value);
            async move {
                let (_, landed, returned) = putting.await;
                drop(landed);
                (place, returned)
            }
        };
        leads.zip(values).map(landing).collect()
    }

    /// Shares it.
    pub(crate) async fn land(&mut self, landings: Vec<impl Future<Output = (usize, P::Returned)>>) {
        // Boxed, so that the caller's future does not carry it.
        for (place, value) in together::all(Box::pin(join_all(landings)).as_mut()).await {
            self.outcomes[place] = Some(value);
        }
    }

    /// Shares the error that the body ended in, which ends this call, unless there is an older value for every key.
    pub(crate) async fn fail<Q>(&mut self, policy: Q, error: P::Returned)
    where
        Q: Policy<Returned = P::Returned, Shared = P::Shared>,
    {
        let mut is_told = false;
        let mut finishing = Vec::with_capacity(self.leads.len());
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
            is_told |= self.outcomes[place].is_none();
            finishing.push(finish(call, lead, product));
        }
        for (call, landed) in together::all(Box::pin(join_all(finishing)).as_mut()).await {
            landed.land(|| product::error(&call, &policy, &error));
        }
        if is_told {
            self.end = Some(End::Error(error));
        }
    }

    pub(crate) fn finish(self) -> Ended<P::Returned> {
        match self.end {
            Some(end) => Err(end),
            None => Ok(self.outcomes),
        }
    }
}

async fn resumed<P: Policy>(
    lead: Leading,
    keeping: Option<Keeping<P::Shared>>,
) -> Acquired<P::Returned> {
    match lead.0.stage {
        Stage::Body(_) => Acquired::Lead(lead),
        Stage::Begun(..) => match resume::<P>(lead.0, keeping).await {
            Ok(value) => Acquired::Value(value),
            Err(led) => Acquired::Lead(Leading(led)),
        },
    }
}

/// One of the calls.
struct UnderWay<'a, R> {
    place: usize,
    call: Pin<Box<dyn Future<Output = Acquired<R>> + Send + 'a>>,
    step: InBatch,
}

/// How a call came to its end: its place, and whether it has waited for another lead.
type Met<R> = (usize, Acquired<R>, bool);

impl<R> Future for UnderWay<'_, R> {
    type Output = Met<R>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = blocking::poll_one_of_several(|| self.call.as_mut().poll(context));
        let acquired = ready!(polled);
        self.step.over();
        Poll::Ready((self.place, acquired, self.step.has_waited()))
    }
}
