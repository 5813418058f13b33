//! The dispatch by return type: which policy a function has.

use std::marker::PhantomData;
use std::ops::Deref;

use super::{By, CloneErrors, Entire, Inner, KeepErrors, OkOnly, Rules, Shareable, Whole};
use crate::each::OfMap;

/// The dispatch by return type: a method found for `Result<T, E>` wins over the same method found
/// through `Deref`. The type itself decides, whatever alias it is written by. The odd names keep a trait
/// of the user's that is implemented for everything out of it.
#[derive(Debug)]
pub struct Returns<R>(ReturnsPlain<R>);

/// A return type that is not a `Result`.
#[derive(Debug)]
pub struct ReturnsPlain<R>(PhantomData<fn() -> R>);

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

    /// For the option `each`, of a `Result` of a map.
    pub fn __map(&self) -> OfMap<T, OkOnly<E>> {
        OfMap::new()
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

    /// For the option `each`, of a map.
    pub fn __map(&self) -> OfMap<R, Whole> {
        OfMap::new()
    }
}

/// The same dispatch, of what is shared: closures see the value inside an `Option`.
#[derive(Debug)]
pub struct Value<S>(ValuePlain<S>);

/// A shared value that is not an `Option`.
#[derive(Debug)]
pub struct ValuePlain<S>(PhantomData<fn() -> S>);

impl<S> Value<S> {
    pub(crate) fn new() -> Self {
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
