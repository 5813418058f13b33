//! A computation that belongs to the runtime: the whole way from the lead of a flight on, in a task or on a thread of
//! its own.
//!
//! Its caller waits for what it returns, and may go away. If the task is dropped instead, because the executor that ran
//! it is shut down, the caller is given the work back, and does it itself.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use futures_channel::oneshot;

use super::acquire::Begun;
use super::waiting::{Unserved, wait};
use super::{Call, Leading, Led, Stage, ancestry, suspended};
use crate::background::until;
use crate::blocking::block_on;
use crate::detached::Permit;
use crate::events::Event;
use crate::events::outcome::Outcome;
use crate::events::track::Track;
use crate::policy::Policy;

/// Runs what `begin` makes of the lead as a task. Who has waited for as long as the call may is given the rest of the
/// wait.
///
/// # Cancel safety
/// Dropped, the task goes on.
pub(crate) async fn detach<P, F>(
    lead: Leading,
    begin: impl FnOnce(Leading) -> F,
) -> Result<P::Returned, impl Future<Output = P::Returned>>
where
    P: Policy<Returned = F::Output>,
    F: Future<Output: Send> + Send + 'static,
{
    let (mut call, begun, permit) = match lead.detachable() {
        Ok(detachable) => detachable,
        // Boxed, so that the caller does not carry it in its future.
        Err(lead) => return Ok(Box::pin(begin(lead)).await),
    };
    let meanwhile = meanwhile::<P>(&call, &begun);
    let task = begin(Leading::begun(&mut call, begun));
    let mut told = run(task, call.clone(), permit);
    if let Some(value) = meanwhile {
        return Ok(value);
    }
    let Some(told) = until(pin!(&mut told), limit(&call)).await else {
        call.record(Event::TimedOut);
        call.track.ended(Outcome::Timeout);
        return Err(async { done(told.await, None).await });
    };
    Ok(done(told, Some(&call.track)).await)
}

/// Runs a task, and tells of its end.
pub(super) fn run<F>(
    task: F,
    call: Call,
    permit: Permit,
) -> impl Future<Output = Answer<F::Output, impl Future<Output = F::Output>>> + Send + Unpin
where
    F: Future<Output: Send> + Send + 'static,
{
    let task = Box::pin(suspended::unpolled(ancestry::inherited(task)));
    let detached = Arc::clone(&call.runtime.detached);
    let (errand, told) = Errand::new(task, call, permit);
    detached.spawn(errand);
    told
}

/// [`run`], of a job, on a thread of its own.
pub(super) fn run_blocking<R, W>(
    job: W,
    call: Call,
    permit: Permit,
) -> oneshot::Receiver<Told<R, W>>
where
    R: Send + 'static,
    W: FnOnce() -> R + Send + 'static,
{
    let detached = Arc::clone(&call.runtime.detached);
    let (errand, told) = Errand::new(job, call, permit);
    detached.spawn_blocking(move || errand.run());
    told
}

/// What a task returned; or does what it did not do. Then the call has ended, unless that was said before.
pub(super) async fn done<R>(told: Answer<R, impl Future<Output = R>>, track: Option<&Track>) -> R {
    match ended(told, track) {
        Ok(returned) => returned,
        Err(task) => {
            let returned = task.await;
            track.inspect(|track| track.ended_detached());
            returned
        }
    }
}

/// [`detach`], on a thread of its own.
pub(crate) fn detach_blocking<P>(
    lead: Leading,
    begin: impl FnOnce(Leading) -> P::Returned + Send + 'static,
) -> Result<P::Returned, impl FnOnce() -> P::Returned>
where
    P: Policy<Returned: Send + 'static>,
{
    let (mut call, begun, permit) = match lead.detachable() {
        Ok(detachable) if suspended::may_block() => detachable,
        // Here, as if it were not detached.
        Ok((call, begun, _)) => {
            let stage = Stage::Begun(begun, None);
            return Ok(begin(Leading::new(call, stage)));
        }
        Err(lead) => return Ok(begin(lead)),
    };
    let meanwhile = meanwhile::<P>(&call, &begun);
    let (lead, inherited) = (
        Leading::begun(&mut call, begun),
        ancestry::Inherited::here(),
    );
    let job = move || {
        let _frames = inherited.enter();
        begin(lead)
    };
    let mut told = run_blocking(job, call.clone(), permit);
    if let Some(value) = meanwhile {
        return Ok(value);
    }
    match block_on(wait(pin!(&mut told), limit(&call))) {
        Ok(told) => Ok(done_blocking(told, Some(&call.track))),
        Err(unserved) => {
            // Elsewhere it would not wait; but the job is on its way already.
            if unserved == Unserved::TimedOut {
                call.record(Event::TimedOut);
            }
            let is_given_something = limit(&call).is_some();
            if is_given_something {
                call.track.ended(Outcome::Timeout);
            }
            let track = Some(call.track).filter(|_| !is_given_something);
            Err(move || done_blocking(block_on(told), track.as_ref()))
        }
    }
}

/// What a job returned; or does what it did not do.
pub(super) fn done_blocking<R>(told: Answer<R, impl FnOnce() -> R>, track: Option<&Track>) -> R {
    ended(told, track).unwrap_or_else(|job| {
        let returned = job();
        track.inspect(|track| track.ended_detached());
        returned
    })
}

/// Who has waited for too long is given something else, but not beside a body of its own.
pub(super) fn limit(call: &Call) -> Option<Instant> {
    call.deadline.filter(|_| !call.options.rare().overflow)
}

/// What the caller is served while it is computed anew, if it is.
pub(super) fn meanwhile<P: Policy>(call: &Call, begun: &Begun) -> Option<P::Returned> {
    let (bytes, event) = begun.meanwhile()?;
    let returned = call.decode::<P>(&bytes).ok()?;
    call.served(event);
    Some(returned)
}

impl Leading {
    fn detachable(self) -> Result<(Call, Box<Begun>, Permit), Self> {
        let Led { call, stage, .. } = *self.0;
        match stage {
            Stage::Begun(begun, Some(permit)) => Ok((call, begun, permit)),
            stage => Err(Self::new(call, stage)),
        }
    }

    /// What a task goes on with.
    fn begun(call: &mut Call, begun: Box<Begun>) -> Self {
        let track = call.track.detached();
        let call = Call {
            track,
            ..call.clone()
        };
        Self::new(call, Stage::Begun(begun, None))
    }
}

/// What a caller is told of its errand.
pub(super) enum Told<R, W> {
    Returned(R),
    Panicked(Box<dyn Any + Send>),
    /// It was dropped before its end.
    Back(W),
}

pub(super) type Answer<R, W> = Result<Told<R, W>, oneshot::Canceled>;

/// What it returned, or the work that it did not do.
fn ended<R, W>(told: Answer<R, W>, track: Option<&Track>) -> Result<R, W> {
    if let Ok(Told::Returned(_) | Told::Panicked(_)) = &told {
        track.inspect(|track| track.ended_detached());
    }
    match told {
        Ok(Told::Returned(returned)) => Ok(returned),
        Ok(Told::Panicked(panic)) => resume_unwind(panic),
        Ok(Told::Back(work)) => Err(work),
        // An errand tells of its end, however it ends.
        Err(oneshot::Canceled) => resume_unwind(Box::new("a detached computation was lost")),
    }
}

/// Work that is done for a caller, who may be gone by its end.
struct Errand<R, W> {
    work: Option<W>,
    caller: Option<oneshot::Sender<Told<R, W>>>,
    call: Call,
    _permit: Permit,
}

impl<R, W> Errand<R, W> {
    fn new(work: W, call: Call, permit: Permit) -> (Self, oneshot::Receiver<Told<R, W>>) {
        let (caller, told) = oneshot::channel();
        let errand = Self {
            work: Some(work),
            caller: Some(caller),
            call,
            _permit: permit,
        };
        (errand, told)
    }

    fn end(&mut self, ended: std::thread::Result<R>) {
        self.tell(match ended {
            Ok(returned) => Told::Returned(returned),
            Err(panic) => Told::Panicked(panic),
        });
    }

    fn tell(&mut self, told: Told<R, W>) {
        let Some(caller) = self.caller.take() else {
            return;
        };
        if let Err(Told::Panicked(panic)) = caller.send(told) {
            self.call.record(Event::Panicked(text(&*panic)));
        }
    }
}

impl<R, W: FnOnce() -> R> Errand<R, W> {
    fn run(mut self) {
        if let Some(work) = self.work.take() {
            let ended = catch_unwind(AssertUnwindSafe(work));
            self.end(ended);
        }
    }
}

impl<F: Future> Future for Errand<F::Output, Pin<Box<F>>> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(task) = &mut this.work else {
            return Poll::Ready(());
        };
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context)));
        let ended = match polled {
            Ok(polled) => Ok(ready!(polled)),
            Err(panic) => Err(panic),
        };
        // Whatever the body holds goes first: who is told may look for it.
        drop(this.work.take());
        this.end(ended);
        Poll::Ready(())
    }
}

// What is pinned in it is boxed.
impl<R, W> Unpin for Errand<R, W> {}

impl<R, W> Drop for Errand<R, W> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.tell(Told::Back(work));
        }
    }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("its payload is no text")
}
