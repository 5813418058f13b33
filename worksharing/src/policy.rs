use std::any::Any;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sync::{Mutex, lock};

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

    /// The value to share, unless the computation failed.
    fn shared(returned: &Self::Returned) -> Option<&Self::Shared>;

    /// What a caller returns that was given the value.
    fn from_shared(value: Self::Shared) -> Self::Returned;

    /// How long the value is kept; `None`: not at all.
    fn lifetime(&self, value: &Self::Shared, default: Duration) -> Option<Duration>;

    /// What makes the error of a failed computation anew, for each caller that waited for it.
    fn share_error(&self, returned: &Self::Returned) -> Option<SharedError> {
        let _ = returned;
        None
    }

    /// What a caller returns that was given such an error, if it is of this type.
    fn with_error(error: Box<dyn Any + Send>) -> Option<Self::Returned> {
        let _ = error;
        None
    }
}

/// Makes an error for each caller that waited for it.
pub type SharedError = Arc<dyn Fn() -> Box<dyn Any + Send> + Send + Sync>;

/// The dispatch by return type: a method found for `Result<T, E>` wins over the same method found
/// through `Deref`. The type itself decides, whatever alias it is written by. The odd names keep a trait
/// of the user's that is implemented for everything out of it.
#[derive(Debug)]
pub struct Returns<R>(ReturnsPlain<R>);

/// A return type that is not a `Result`.
#[derive(Debug)]
pub struct ReturnsPlain<R>(PhantomData<fn() -> R>);

/// A return value that is shared whole.
#[derive(Debug)]
pub struct Whole;

/// A return value of which `Ok` is shared, with errors of the type `E`.
#[derive(Debug)]
pub struct OkOnly<E>(PhantomData<fn() -> E>);

impl<R> Returns<R> {
    /// Where the dispatch begins.
    #[expect(clippy::new_without_default, reason = "only the expansion makes one")]
    pub fn new() -> Self {
        Self(ReturnsPlain(PhantomData))
    }
}

impl<R> Deref for Returns<R> {
    type Target = ReturnsPlain<R>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

// The bounds stand on the methods: on the impl blocks they would be part of the dispatch.
impl<T, E> Returns<Result<T, E>> {
    /// The policy of a `Result`.
    pub fn __policy(&self) -> Rules<OkOnly<E>, T>
    where
        T: Shareable,
    {
        Rules::new()
    }

    /// For closures over the value of a `Result`.
    pub fn __value(&self) -> Value<T> {
        Value::new()
    }
}

// Here the bounds decide: an error that others cannot be given is its own caller's.
impl<T, E: Clone + Send + 'static> Returns<Result<T, E>> {
    /// How its errors are shared.
    pub fn __errors(&self) -> CloneErrors {
        CloneErrors
    }
}

impl<R> ReturnsPlain<R> {
    /// How errors are shared that cannot be.
    pub fn __errors(&self) -> KeepErrors {
        KeepErrors
    }

    /// The policy of a return value that is shared whole.
    pub fn __policy(&self) -> Rules<Whole, R>
    where
        R: Shareable,
    {
        Rules::new()
    }

    /// For closures over the return value.
    pub fn __value(&self) -> Value<R> {
        Value::new()
    }
}

/// The same dispatch, of what is shared: closures see the value inside an `Option`.
#[derive(Debug)]
pub struct Value<S>(ValuePlain<S>);

/// A shared value that is not an `Option`.
#[derive(Debug)]
pub struct ValuePlain<S>(PhantomData<fn() -> S>);

impl<S> Value<S> {
    fn new() -> Self {
        Self(ValuePlain(PhantomData))
    }
}

impl<S> Deref for Value<S> {
    type Target = ValuePlain<S>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> Value<Option<T>> {
    /// A closure whose parameter has no type of its own.
    pub fn __by<Out, F: Fn(&T) -> Out>(&self, closure: F) -> By<F, Inner> {
        By(closure, PhantomData)
    }
}

impl<S> ValuePlain<S> {
    /// A closure whose parameter has no type of its own.
    pub fn __by<Out, F: Fn(&S) -> Out>(&self, closure: F) -> By<F, Entire> {
        By(closure, PhantomData)
    }
}

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
#[derive(Debug)]
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

/// An error goes to its own caller.
#[derive(Debug, Clone, Copy)]
pub struct KeepErrors;

/// An error goes to all who waited for it, as clones.
#[derive(Debug, Clone, Copy)]
pub struct CloneErrors;

/// How an error is given to those who waited for the computation.
pub trait ErrorRule<E> {
    /// What makes it anew for each of them.
    fn share(&self, error: &E) -> Option<SharedError>;

    /// The error, if it is of this type.
    fn take(error: Box<dyn Any + Send>) -> Option<E>;
}

impl<E> ErrorRule<E> for KeepErrors {
    fn share(&self, _: &E) -> Option<SharedError> {
        None
    }

    fn take(_: Box<dyn Any + Send>) -> Option<E> {
        None
    }
}

impl<E: Clone + Send + 'static> ErrorRule<E> for CloneErrors {
    fn share(&self, error: &E) -> Option<SharedError> {
        // `E` need not be `Sync`.
        let error = Mutex::new(error.clone());
        Some(Arc::new(move || Box::new(lock(&error).clone())))
    }

    fn take(error: Box<dyn Any + Send>) -> Option<E> {
        error.downcast().ok().map(|error| *error)
    }
}

/// A policy: how the return type is shared (`K`), the closures of `cache_if` and `ttl`, and how errors are (`X`).
#[derive(Debug)]
#[must_use]
pub struct Rules<K, S, C = NoRule, L = NoRule, X = KeepErrors> {
    kind: PhantomData<fn() -> (K, S)>,
    cache_if: C,
    ttl: L,
    errors: X,
}

impl<K, S> Rules<K, S> {
    pub(crate) fn new() -> Self {
        Self {
            kind: PhantomData,
            cache_if: NoRule,
            ttl: NoRule,
            errors: KeepErrors,
        }
    }
}

impl<K, S, C, L, X> Rules<K, S, C, L, X> {
    // What is returned is opaque: after a wrong closure, nothing else is wrong.

    /// The option `cache_if`.
    pub fn cache_if<N: Rule<S, bool>>(self, cache_if: N) -> Rules<K, S, impl Rule<S, bool>, L, X> {
        Rules {
            kind: PhantomData,
            cache_if,
            ttl: self.ttl,
            errors: self.errors,
        }
    }

    /// The option `ttl`, where it is a closure.
    pub fn ttl<N: Rule<S, Duration>>(self, ttl: N) -> Rules<K, S, C, impl Rule<S, Duration>, X> {
        Rules {
            kind: PhantomData,
            cache_if: self.cache_if,
            ttl,
            errors: self.errors,
        }
    }

    /// How errors are given to those who waited.
    pub fn errors<N>(self, errors: N) -> Rules<K, S, C, L, N> {
        Rules {
            kind: PhantomData,
            cache_if: self.cache_if,
            ttl: self.ttl,
            errors,
        }
    }

    fn decide(&self, value: &S, default: Duration) -> Option<Duration>
    where
        C: Rule<S, bool>,
        L: Rule<S, Duration>,
    {
        let stored = self.cache_if.apply(value).unwrap_or(true);
        stored.then(|| self.ttl.apply(value).unwrap_or(default))
    }
}

impl<R: Shareable, C: Rule<R, bool>, L: Rule<R, Duration>, X> Policy for Rules<Whole, R, C, L, X> {
    type Returned = R;
    type Shared = R;

    fn shared(returned: &R) -> Option<&R> {
        Some(returned)
    }

    fn from_shared(value: R) -> R {
        value
    }

    fn lifetime(&self, value: &R, default: Duration) -> Option<Duration> {
        self.decide(value, default)
    }
}

impl<T, E, C, L, X> Policy for Rules<OkOnly<E>, T, C, L, X>
where
    T: Shareable,
    C: Rule<T, bool>,
    L: Rule<T, Duration>,
    X: ErrorRule<E>,
{
    type Returned = Result<T, E>;
    type Shared = T;

    fn shared(returned: &Result<T, E>) -> Option<&T> {
        returned.as_ref().ok()
    }

    fn from_shared(value: T) -> Result<T, E> {
        Ok(value)
    }

    fn lifetime(&self, value: &T, default: Duration) -> Option<Duration> {
        self.decide(value, default)
    }

    fn share_error(&self, returned: &Result<T, E>) -> Option<SharedError> {
        self.errors.share(returned.as_ref().err()?)
    }

    fn with_error(error: Box<dyn Any + Send>) -> Option<Result<T, E>> {
        X::take(error).map(Err)
    }
}
