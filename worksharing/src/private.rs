//! What the expansion of `#[work_shared]` calls. Not public: it changes with the macro crate.
//!
//! An annotated function becomes: a [`Plan`] (runtime, key, options), a [`Policy`] (how its return type is shared, what
//! is stored and for how long), and a match over what [`acquire`] gives: a value, or the lead, which lands the body.

use std::pin::Pin;

pub use std::future::Future;
pub use std::pin::pin;
pub use std::primitive::bool;
pub use std::time::Duration;
pub use std::{concat, format, module_path};

pub use crate::default_key::{DefaultKey, KeyPart, KeyText, text};
pub use crate::flow::{Acquired, Leading};
pub use crate::handle::{AsyncCall, Call, PlainAsyncCall, PlainCall};
pub use crate::plan::Plan;
pub use crate::policy::{By, Policy, Returns, Rule, Rules, Shareable, SharedError, by_type};

/// Looks, joins or waits, until there is a value or it is this caller's turn to compute.
pub fn acquire<P: Policy>(plan: Plan, policy: P) -> impl Future<Output = Acquired<P>> {
    crate::flow::begin(plan.call(), policy)
}

/// [`acquire`], blocking this thread.
pub fn acquire_blocking<P: Policy>(plan: Plan, policy: P) -> Acquired<P> {
    crate::blocking::block_on(acquire(plan, policy))
}

/// Computes, and shares what comes of it. A function, for of a method whose bounds do not hold the compiler says that
/// there is none.
pub fn land<P, F>(lead: Leading<P>, body: Pin<&mut F>) -> impl Future<Output = P::Returned>
where
    P: Policy,
    F: Future<Output = P::Returned>,
{
    lead.land(body)
}

/// [`land`], on this thread.
pub fn land_blocking<P: Policy>(
    lead: Leading<P>,
    body: impl FnOnce() -> P::Returned,
) -> P::Returned {
    lead.land_blocking(body)
}

/// A value of any type, for what is never reached: the dead `return` that tells an async block its type.
#[cold]
pub fn never<R>() -> R {
    unreachable!("it stands behind `if false`")
}
