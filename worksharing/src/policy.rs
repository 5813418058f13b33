//! What of a return type is shared, and how.

mod errors;
mod returns;
mod rules;
mod stored;

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::errors::{
    AllFor, CacheErrors, CloneErrors, ErrorRules, KeepErrors, ShareErrors, TakeErrors,
};
pub use self::errors::{CacheRule, Errors, Fallible, ShareRule, ShareableError, SharedError};
pub use self::returns::Returns;
pub(crate) use self::returns::Value;
pub use self::rules::Rules;
pub(crate) use self::stored::{Encoded, Storable};
use crate::near::Keeping;

/// What can be stored and shared.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is returned by a `#[work_shared]` function, so it must be `Serialize` and `DeserializeOwned`",
    label = "this value cannot be stored and shared",
    note = "write `#[derive(serde::Serialize, serde::Deserialize)]` on the type; a type parameter needs both in the `where` clause",
    note = "of a `Result` only the `Ok` value needs them"
)]
pub trait Shareable: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Shareable for T {}

/// How a function is shared: what of its return value is stored, for how long, and what others are given of an error.
///
/// What the function returns is no parameter of the trait: it may borrow, in an error, and the compiler
/// would lose sight of the lifetime where it checks that a future is `Send`.
pub trait Policy {
    /// What the function returns.
    type Returned;

    /// What is stored and shared.
    type Shared: Shareable;

    /// Whether errors are shared by a rule of their own, rather than by what is stored.
    const SHARES_FIRST: bool = false;

    /// Whether the computation failed.
    fn is_error(returned: &Self::Returned) -> bool {
        let _ = returned;
        false
    }

    /// What is stored of it; `None`: nothing that could be.
    fn stored<'r>(
        &self,
        returned: &'r Self::Returned,
        default: Duration,
        cache_none: bool,
    ) -> Option<Storable<'r>>;

    /// What others may be given of it; `None`: nothing.
    fn shared(returned: &Self::Returned) -> Option<&Self::Shared>;

    /// How the value is kept in this process, if it is.
    fn keeping(&self) -> Option<Keeping<Self::Shared>> {
        None
    }

    /// What a caller returns that was given the value.
    fn from_shared(value: Self::Shared) -> Self::Returned;

    /// The error of a failed computation, for one who waited for it.
    fn share_error(&self, returned: &Self::Returned) -> Option<SharedError> {
        let _ = returned;
        None
    }

    /// What a caller returns that was given such an error, if it is of this type.
    fn with_error(error: SharedError) -> Option<Self::Returned> {
        let _ = error;
        None
    }

    /// What tells a stored error from one of another structure; `None`: none is stored.
    fn error_fingerprint(version: u32) -> Option<u64> {
        let _ = version;
        None
    }

    /// What a caller returns that found a stored error.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn decode_error(stored: Encoded<'_>) -> Result<Self::Returned, String> {
        <NoRule as CacheRule<Self::Returned>>::decode(stored)
    }
}

/// A return value that is shared whole.
#[derive(Debug)]
pub struct Whole;

/// A return value of which `Ok` is shared, with errors of the type `E`.
#[derive(Debug)]
pub struct OkOnly<E>(PhantomData<fn() -> E>);

/// A closure or function that says which type it takes: the type decides what it sees.
pub fn by_type<F, Of>(closure: F) -> By<F, Of> {
    By(closure, PhantomData)
}

/// A closure of an option, and of what it takes.
#[derive(Debug)]
pub struct By<F, Of>(F, PhantomData<fn() -> Of>);

/// Takes the value inside an `Option`.
#[derive(Debug)]
pub struct Inner;

/// Takes the shared value as it is.
#[derive(Debug)]
pub struct Entire;

/// No closure.
#[derive(Debug, Clone, Copy)]
pub struct NoRule;

/// What a closure of an option says about a shared value.
#[diagnostic::on_unimplemented(
    message = "this does not take a `&{S}` and give a `{Out}`",
    label = "not a function of the shared value",
    note = "write a closure like `|value: &{S}| …`; of an `Option` it may take the value inside"
)]
pub trait Rule<S, Out> {
    /// Its answer; `None` where it has nothing to say.
    fn apply(&self, value: &S) -> Option<Out>;
}

impl<S, Out> Rule<S, Out> for NoRule {
    fn apply(&self, _: &S) -> Option<Out> {
        None
    }
}

#[diagnostic::do_not_recommend]
impl<S, Out, F: Fn(&S) -> Out> Rule<S, Out> for By<F, Entire> {
    fn apply(&self, value: &S) -> Option<Out> {
        Some((self.0)(value))
    }
}

#[diagnostic::do_not_recommend]
impl<T, Out, F: Fn(&T) -> Out> Rule<Option<T>, Out> for By<F, Inner> {
    fn apply(&self, value: &Option<T>) -> Option<Out> {
        value.as_ref().map(&self.0)
    }
}
