//! What the expansion of `#[work_shared]` calls. Not public: it changes with the macro crate.
//!
//! An annotated function becomes: a [`Plan`] (runtime, key, options), a [`Policy`] (how its return
//! type is shared, what is stored and for how long), and its body, given to [`run`] or
//! [`run_blocking`].

mod plan;

use std::pin::Pin;

pub use std::future::Future;
pub use std::pin::pin;
pub use std::primitive::bool;
pub use std::time::Duration;
pub use std::{concat, format, module_path};

pub use crate::default_key::{DefaultKey, KeyPart, KeyText, text};
pub use crate::handle::{AsyncCall, Call, PlainAsyncCall, PlainCall};
pub use crate::policy::{By, Policy, Returns, Rule, Rules, Shareable, by_type};
pub use plan::Plan;

use crate::policy::Held;

/// Runs a plain function's body as shared work.
pub fn run_blocking<P: Policy>(
    plan: Plan,
    policy: P,
    body: impl FnOnce() -> P::Returned,
) -> P::Returned {
    let mut body = Some(body);
    let mut once = || match body.take() {
        Some(body) => body(),
        None => never(),
    };
    run_any_blocking(plan, policy, &mut once)
}

/// For bodies of any type: the flow is compiled once for every return type, not for every function.
fn run_any_blocking<P: Policy>(
    plan: Plan,
    policy: P,
    body: &mut dyn FnMut() -> P::Returned,
) -> P::Returned {
    plan.work::<P::Shared>()
        .__run_blocking(
            |value: &P::Shared, default| policy.lifetime(value, default),
            || Held::<P>::new(body()),
        )
        .into_inner()
}

/// Runs an async function's body as shared work. The body stays pinned in the caller's own frame, so
/// that the layers below only carry a pointer to it.
pub async fn run<P, F>(plan: Plan, policy: P, body: Pin<&mut F>) -> P::Returned
where
    P: Policy,
    F: Future<Output = P::Returned>,
{
    plan.work::<P::Shared>()
        .__run(
            |value: &P::Shared, default| policy.lifetime(value, default),
            async move || Held::<P>::new(body.await),
        )
        .await
        .into_inner()
}

/// A value of any type, for what is never reached: the dead `return` that tells an async block its type,
/// and the second run of a body.
#[cold]
pub fn never<R>() -> R {
    unreachable!("a body runs once")
}
