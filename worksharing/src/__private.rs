//! What the expansion of `#[work_shared]` calls. Not public: it changes with the macro crate.
//!
//! An annotated function becomes: a [`Plan`] (runtime, key, options), a [`Policy`] (how its return type is shared, what
//! is stored and for how long), and a match over what [`acquire`] gives: a value, or the lead, which the body lands.

mod plan;

pub use std::future::Future;
pub use std::pin::pin;
pub use std::primitive::bool;
pub use std::time::Duration;
pub use std::{concat, format, module_path};

pub use crate::default_key::{DefaultKey, KeyPart, KeyText, text};
pub use crate::flow::{Acquired, Leading};
pub use crate::handle::{AsyncCall, Call, PlainAsyncCall, PlainCall};
pub use crate::policy::{By, Policy, Returns, Rule, Rules, Shareable, SharedError, by_type};
pub use plan::Plan;

/// Looks, joins or waits, until there is a value or it is this caller's turn to compute.
pub async fn acquire<P: Policy>(plan: Plan, policy: P) -> Acquired<P> {
    crate::flow::begin(plan.call(), policy).await
}

/// [`acquire`], blocking this thread.
pub fn acquire_blocking<P: Policy>(plan: Plan, policy: P) -> Acquired<P> {
    crate::blocking::block_on(acquire(plan, policy))
}

/// A value of any type, for what is never reached: the dead `return` that tells an async block its type.
#[cold]
pub fn never<R>() -> R {
    unreachable!("it stands behind `if false`")
}

/// The match that the expansion is to make itself, over a plain function's body.
pub fn run_blocking<P: Policy>(
    plan: Plan,
    policy: P,
    body: impl FnOnce() -> P::Returned,
) -> P::Returned {
    match acquire_blocking(plan, policy) {
        Acquired::Value(value) => value,
        Acquired::Lead(lead) => lead.land_blocking(body),
    }
}

/// The same, over an async function's body.
pub async fn run<P: Policy, F: Future<Output = P::Returned>>(
    plan: Plan,
    policy: P,
    body: std::pin::Pin<&mut F>,
) -> P::Returned {
    match acquire(plan, policy).await {
        Acquired::Value(value) => value,
        Acquired::Lead(lead) => lead.land(body).await,
    }
}
