//! What falls to one caller of many keys, as a task that belongs to the runtime: the way to the body, the body, and what
//! is left to do when others fail. One task and one permit for all of it.

use std::pin::pin;
use std::time::Instant;

use super::{Call, Ended, Leading, Several, Start};
use crate::background::until;
use crate::blocking::block_on;
use crate::detached::Permit;
use crate::events::Event;
use crate::events::outcome::Outcome;
use crate::flow::detach::{done, done_blocking, limit, meanwhile, run, run_blocking};
use crate::flow::waiting::{Unserved, wait};
use crate::flow::{Stage, ancestry, suspended};
use crate::policy::Policy;

/// Who asks for what is to run detached.
pub(crate) struct Asker {
    /// Where the values stand, each with the call that waits for it.
    calls: Vec<(usize, Option<Call>)>,
    /// Of the whole task; none where it is no task, but this caller's own.
    errand: Option<(Call, Permit)>,
    /// Until when it waits.
    limit: Option<Instant>,
}

/// The calls that wait for a task: they end as their detached parts did, once it is over.
struct OfTask<'a>(&'a [(usize, Option<Call>)]);

impl Drop for OfTask<'_> {
    fn drop(&mut self) {
        let waiting = self.0.iter().filter_map(|(_, call)| call.as_ref());
        waiting.for_each(|call| call.track.ended_detached());
    }
}

/// What came of it.
pub(crate) enum Reply<T> {
    Ended(Vec<usize>, T),
    TimedOut,
    /// Nobody waits for it: there are older values.
    GoesOn,
}

impl<T> Reply<T> {
    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U) -> Reply<U> {
        match self {
            Self::Ended(places, value) => Reply::Ended(places, map(value)),
            Self::TimedOut => Reply::TimedOut,
            Self::GoesOn => Reply::GoesOn,
        }
    }
}

impl<'a, P: Policy + 'a> Several<'a, P> {
    /// Takes out what is to be computed next, and what its keys are served meanwhile.
    pub(crate) fn detached(&mut self) -> Option<(Several<'static, P>, Asker)>
    where
        P: 'static,
    {
        let leads = std::mem::take(&mut self.leads);
        let one = leads.first()?.1.0.call.clone();
        let permit = self.batch.take_permit();
        let (mut starts, mut calls) = (Vec::new(), Vec::new());
        for (place, Leading(mut led)) in leads {
            let value = match &led.stage {
                Stage::Begun(begun, _) => meanwhile::<P>(&led.call, begun),
                Stage::Body(_) => None,
            };
            let mut call = led.call.clone();
            if permit.is_some() {
                led.call.track = call.track.detached();
            }
            calls.push((place, value.is_none().then_some(call)));
            self.outcomes[place] = value;
            starts.push(Start::Lead(Leading(led)));
        }
        let waiting = calls.iter().filter_map(|(_, call)| call.as_ref());
        let asker = Asker {
            limit: waiting.filter_map(limit).min(),
            errand: permit.map(|permit| (one, permit)),
            calls,
        };
        Some((Several::of(starts.into_iter(), self.keeping), asker))
    }

    /// Takes what came of it.
    pub(crate) fn absorb(&mut self, reply: Reply<Ended<P::Returned>>) {
        match reply {
            Reply::Ended(places, Ok(outcomes)) => {
                for (place, outcome) in places.into_iter().zip(outcomes) {
                    let own = &mut self.outcomes[place];
                    *own = own.take().or(outcome);
                }
            }
            Reply::Ended(_, Err(end)) => self.end = Some(end),
            Reply::TimedOut => self.end = Some(super::End::TimedOut),
            Reply::GoesOn => {}
        }
    }
}

impl Asker {
    /// Runs it as a task, if it may be one. A plain function, so that its caller does not keep the task.
    pub(crate) fn run<F>(mut self, task: F) -> impl Future<Output = Reply<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let begun = match self.errand.take() {
            Some((call, permit)) => Ok(run(task, call, permit)),
            None => Err(Box::pin(task)),
        };
        async move {
            let told = match begun {
                Err(task) => return self.ended(task.await),
                Ok(_) if !self.is_waiting() => return Reply::GoesOn,
                Ok(told) => told,
            };
            match until(pin!(told), self.limit).await {
                Some(told) => {
                    let value = {
                        let _task = OfTask(&self.calls);
                        done(told, None).await
                    };
                    self.ended(value)
                }
                None => self.timed_out(),
            }
        }
    }

    /// [`run`](Self::run), on a thread of its own.
    pub(crate) fn run_blocking<T: Send + 'static>(
        mut self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Reply<T> {
        let errand = self.errand.take();
        let Some((call, permit)) = errand.filter(|_| suspended::may_block()) else {
            let value = self.of_task(job);
            return self.ended(value);
        };
        let inherited = ancestry::Inherited::here();
        let job = move || {
            let _frames = inherited.enter();
            job()
        };
        let mut told = run_blocking(job, call, permit);
        if !self.is_waiting() {
            return Reply::GoesOn;
        }
        let told = match block_on(wait(pin!(&mut told), self.limit)) {
            Ok(told) => told,
            Err(Unserved::TimedOut) => return self.timed_out(),
            // It is on its way already.
            Err(Unserved::WouldBlock) => block_on(told),
        };
        let value = self.of_task(|| done_blocking(told, None));
        self.ended(value)
    }

    /// Of what the task comes to, the calls are told, be it a panic.
    fn of_task<T>(&self, come_to: impl FnOnce() -> T) -> T {
        let _task = OfTask(&self.calls);
        come_to()
    }

    fn is_waiting(&self) -> bool {
        self.calls.iter().any(|(_, call)| call.is_some())
    }

    fn ended<T>(self, value: T) -> Reply<T> {
        let places = self.calls.into_iter().map(|(place, _)| place);
        Reply::Ended(places.collect(), value)
    }

    fn timed_out<T>(self) -> Reply<T> {
        let waiting = self.calls.iter().filter_map(|(_, call)| call.as_ref());
        waiting.for_each(|call| {
            call.record(Event::TimedOut);
            call.track.ended(Outcome::Timeout);
        });
        Reply::TimedOut
    }
}
