//! What the expansion of `#[work_shared]` calls. Not public: it changes with the macro crate.
//!
//! An annotated function becomes: a [`Plan`] (runtime, key, options), a [`Policy`] (how its return type is shared, what
//! is stored and for how long), and a match over what [`acquire`] gives: a value, or the lead, which lands the body.

use std::pin::Pin;

pub use std::future::Future;
pub use std::option::Option::{None, Some};
pub use std::pin::pin;
pub use std::primitive::bool;
pub use std::result::Result::{Err, Ok};
pub use std::string::String;
pub use std::time::Duration;
pub use std::{concat, format, format_args, module_path};

pub use crate::WorkSharing;
pub use crate::default_key::{DefaultKey, KeyPart, KeyText, local_text, text};
pub use crate::each::{
    Again, AsKey, ByKey, EachReturned, Entrants, Form, Ids, KeyOf, Lent, OfMap, again, entrants_in,
    entrants_of, form, policy_of_one, value_of_one,
};
pub use crate::flow::{Acquired, Leading};
pub use crate::handle::{
    AsyncCall, AsyncManyCall, Call, EachCall, GoOn, ManyCall, PlainAsyncCall, PlainCall,
};
pub use crate::many::{Many, ManyLeads, Settled};
pub use crate::near::{Local, Piece, take, written};
pub use crate::plan::Plan;
pub use crate::policy::{
    By, CacheRule, Errors, Fallible, Policy, Returns, Rule, Rules, ShareRule, Shareable,
    ShareableError, SharedError, by_type,
};
pub use crate::sought::Sought;
pub use crate::taken::{
    Argument, Cloned, ClonedInside, Moved, OfOption, OfOwned, OfReference, argument,
};

/// Looks, joins or waits, until there is a value or it is this caller's turn to compute. Of the policy only its type
/// counts, and whether it keeps.
pub fn acquire<P: Policy>(plan: Plan, policy: P) -> impl Future<Output = Acquired<P::Returned>> {
    crate::flow::begin::<P>(plan.into_call(), policy.keeping())
}

/// [`acquire`], blocking this thread.
pub fn acquire_blocking<P: Policy>(plan: Plan, policy: P) -> Acquired<P::Returned> {
    crate::blocking::block_on(acquire(plan, policy))
}

/// The calls of many ids, on their way; what is kept in this process needs none. Of the policy only its type counts, and
/// whether it keeps.
pub fn many<'a, E: Clone, P: Policy + 'a>(
    entrants: impl IntoIterator<Item = (E, Plan)>,
    policy: P,
) -> Many<'a, E, P> {
    let entrant = |(id, mut plan): (E, Plan)| {
        let kept = plan.find(&policy);
        (id, kept.ok_or_else(|| plan.into_call()))
    };
    Many::new(entrants.into_iter().map(entrant), policy.keeping())
}

/// What of them is to be computed next.
pub fn next<'a, E: Clone, P: Policy + 'a>(
    many: &mut Many<'a, E, P>,
) -> impl Future<Output = Option<Vec<E>>> {
    many.next()
}

/// [`next`], blocking this thread.
pub fn next_blocking<'a, E: Clone, P: Policy + 'a>(many: &mut Many<'a, E, P>) -> Option<Vec<E>> {
    many.next_blocking()
}

/// Computes it, and shares what comes of it.
pub fn land_many<'a, E, P, Q, R>(
    many: &mut Many<'a, E, P>,
    policy: Q,
    body: Pin<&mut impl Future<Output = R>>,
) -> impl Future<Output = ()>
where
    E: Clone,
    P: Policy + 'a,
    Q: Policy<Returned = P::Returned, Shared = P::Shared>,
    R: EachReturned<E, Q>,
{
    many.land(policy, body)
}

/// [`land_many`], on this thread.
pub fn land_many_blocking<'a, E, P, Q, R>(
    many: &mut Many<'a, E, P>,
    policy: Q,
    body: impl FnOnce() -> R,
) where
    E: Clone,
    P: Policy + 'a,
    Q: Policy<Returned = P::Returned, Shared = P::Shared>,
    R: EachReturned<E, Q>,
{
    many.land_blocking(policy, body);
}

/// [`next`], for what is to run detached.
pub fn next_detached<E: Clone, P: Policy + 'static>(
    many: &mut Many<'_, E, P>,
) -> impl Future<Output = Option<ManyLeads<E, P>>> {
    many.next_detached()
}

/// [`next_detached`], blocking this thread.
pub fn next_detached_blocking<E: Clone, P: Policy + 'static>(
    many: &mut Many<'_, E, P>,
) -> Option<ManyLeads<E, P>> {
    many.next_detached_blocking()
}

/// Runs what `begin` makes of them as a task that belongs to the runtime, and takes what comes of it.
pub fn detach_many<E, P, F>(
    many: &mut Many<'_, E, P>,
    leads: ManyLeads<E, P>,
    begin: impl FnOnce(Many<'static, E, P>) -> F,
) -> impl Future<Output = ()>
where
    E: Clone,
    P: Policy<Returned: Send> + 'static,
    F: Future<Output = Settled<P::Returned>> + Send + 'static,
{
    many.detach(leads, begin)
}

/// [`detach_many`], on a thread of its own.
pub fn detach_many_blocking<E, P>(
    many: &mut Many<'_, E, P>,
    leads: ManyLeads<E, P>,
    job: impl FnOnce(Many<'static, E, P>) -> Settled<P::Returned> + Send + 'static,
) where
    E: Clone + Send + 'static,
    P: Policy<Returned: Send> + Send + 'static,
{
    many.detach_blocking(leads, job);
}

/// What it tells its caller that ran detached.
pub fn settled<E: Clone, P: Policy + 'static>(many: Many<'_, E, P>) -> Settled<P::Returned> {
    many.settled()
}

/// What the function returns.
pub fn finish<'a, E: Clone, P: Policy + 'a, R: EachReturned<E, P>>(many: Many<'a, E, P>) -> R {
    many.finish()
}

/// The same, unless it has waited for as long as it may.
pub fn in_time<'a, E: Clone, P: Policy + 'a, R: EachReturned<E, P>>(
    many: Many<'a, E, P>,
) -> Option<R> {
    many.in_time()
}

/// Computes, and shares what comes of it. A function, for of a method whose bounds do not hold the compiler says that
/// there is none.
pub fn land<P, F>(lead: Leading, policy: P, body: Pin<&mut F>) -> impl Future<Output = P::Returned>
where
    P: Policy,
    F: Future<Output = P::Returned>,
{
    lead.land(policy, body)
}

/// [`land`], on this thread.
pub fn land_blocking<P: Policy>(
    lead: Leading,
    policy: P,
    body: impl FnOnce() -> P::Returned,
) -> P::Returned {
    lead.land_blocking(policy, body)
}

/// Runs what `begin` makes of the lead as a task that belongs to the runtime: it [`land`]s there. Who has waited for as
/// long as the call may is given the rest of the wait. Of the policy only its type counts.
pub fn detach<P, F>(
    lead: Leading,
    _: P,
    begin: impl FnOnce(Leading) -> F,
) -> impl Future<Output = Result<P::Returned, impl Future<Output = P::Returned>>>
where
    P: Policy<Returned = F::Output>,
    F: Future<Output: Send> + Send + 'static,
{
    crate::flow::detach::<P, F>(lead, begin)
}

/// [`detach`], on a thread of its own, where it lands by [`land_blocking`].
pub fn detach_blocking<P: Policy<Returned: Send + 'static>>(
    lead: Leading,
    _: P,
    begin: impl FnOnce(Leading) -> P::Returned + Send + 'static,
) -> Result<P::Returned, impl FnOnce() -> P::Returned> {
    crate::flow::detach_blocking::<P>(lead, begin)
}

/// The time of an option about errors. Of the policy only its type counts.
pub fn of_errors<K: Fallible, S>(_: Rules<K, S>, time: Duration) -> Duration {
    time
}

/// A value of any type, for what is never reached: the dead `return` that tells an async block its type.
#[cold]
pub fn never<R>() -> R {
    unreachable!("it stands behind `if false`")
}
