//! What only a function that returns a `Result` can have.

use std::time::Duration;

use crate::policy::{OkOnly, Policy, Rules};

/// The policy of a function that can fail.
#[diagnostic::on_unimplemented(
    message = "an option of this `#[work_shared]` function is about errors, and it returns no `Result`",
    label = "this option is about errors, and the function returns none",
    note = "remove the option, or return a `Result`"
)]
pub trait Fallible: Policy {}

#[diagnostic::do_not_recommend]
impl<T, E, C, L, X> Fallible for Rules<OkOnly<E>, T, C, L, X> where Self: Policy {}

/// The time of an option about errors. Of the policy only its type counts.
pub fn of_errors<P: Fallible>(_: P, time: Duration) -> Duration {
    time
}
