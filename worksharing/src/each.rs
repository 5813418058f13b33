//! The option `each`: what a function of many keys takes and returns.
//!
//! Its ids go into a list with a plan for each. Its body is lent those that are to be computed, and what it returns is
//! taken apart, each id's value for all who wait for it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

use crate::plan::Plan;
use crate::policy::{OkOnly, Policy, Rules, Shareable, Value, Whole};

/// A map of values by id: what a function with the option `each` returns, alone or in a `Result`.
///
/// `HashMap` and `BTreeMap` are. For a map of another crate, write a type of your own around it.
#[diagnostic::on_unimplemented(
    message = "a function with `each` returns a map by id, and `{Self}` is none",
    label = "this is no map by id",
    note = "return a `HashMap` or a `BTreeMap` by id, or a `Result` of one",
    note = "a map of your own implements `worksharing::ByKey`"
)]
pub trait ByKey: FromIterator<(<Self as ByKey>::Key, <Self as ByKey>::Value)> {
    /// The id, owned or as the function is given it.
    type Key;

    /// What is shared, each under a key of its own.
    type Value;

    /// Takes out what was computed for an id. `None`: nothing was, and that is what all get who ask for this id.
    fn take(&mut self, key: &Self::Key) -> Option<Self::Value>;

    /// How many values are in it: those for ids that nobody asked for, once all others are taken.
    fn left(&self) -> usize;
}

impl<K: Eq + Hash, V, S: BuildHasher + Default> ByKey for HashMap<K, V, S> {
    type Key = K;
    type Value = V;

    fn take(&mut self, key: &K) -> Option<V> {
        self.remove(key)
    }

    fn left(&self) -> usize {
        self.len()
    }
}

impl<K: Ord, V> ByKey for BTreeMap<K, V> {
    type Key = K;
    type Value = V;

    fn take(&mut self, key: &K) -> Option<V> {
        self.remove(key)
    }

    fn left(&self) -> usize {
        self.len()
    }
}

/// What a function with `each` and a handle returns: a map, or a `Result` of one.
#[diagnostic::on_unimplemented(
    message = "a function with `each` returns a map by id, and `{Self}` is none",
    label = "this is no map by id",
    note = "return a `HashMap` or a `BTreeMap` by id, or a `Result` of one",
    note = "a map of your own implements `worksharing::ByKey`"
)]
pub trait MapReturned {
    /// The map.
    type Map: ByKey;
}

#[diagnostic::do_not_recommend]
impl<M: ByKey> MapReturned for M {
    type Map = M;
}

#[diagnostic::do_not_recommend]
impl<M: ByKey, E> MapReturned for Result<M, E> {
    type Map = M;
}

/// What an id is in what a function returns.
pub type KeyOf<R> = <<R as MapReturned>::Map as ByKey>::Key;

/// An id that is a key of a map.
#[diagnostic::on_unimplemented(
    message = "the ids of `each` are `{Self}`, and the keys of the returned map are `{K}`",
    label = "this map has other keys than the ids",
    note = "return a map whose keys are the ids; of `&str` they may be `String`",
    note = "an id must be `Clone`"
)]
pub trait AsKey<K>: Sized {
    /// The id itself. Of an id that is no key there is none: so nothing else is wrong with it.
    type Id;

    /// The key.
    fn as_key(&self) -> K;

    /// The id itself.
    fn itself(self) -> Self::Id;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> AsKey<T> for T {
    type Id = T;

    fn as_key(&self) -> T {
        self.clone()
    }

    fn itself(self) -> T {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<'a> AsKey<String> for &'a str {
    type Id = &'a str;

    fn as_key(&self) -> String {
        (*self).to_owned()
    }

    fn itself(self) -> &'a str {
        self
    }
}

/// What a function with `each` returns: a map, shared in this way.
#[derive(Debug)]
pub struct OfMap<M, K>(PhantomData<fn() -> (M, K)>);

impl<M, K> OfMap<M, K> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

/// The policy of one id. A function, for of a method whose bounds do not hold the compiler says that there is none.
pub fn policy_of_one<M: ByKey, K>(_: OfMap<M, K>) -> Rules<K, Option<M::Value>>
where
    Option<M::Value>: Shareable,
{
    Rules::new()
}

/// For closures over the value of one id.
pub fn value_of_one<M: ByKey, K>(_: OfMap<M, K>) -> Value<Option<M::Value>> {
    Value::new()
}

/// What a function of many ids of the type `E` returns, whose policy of one id is `P`.
pub trait EachReturned<E, P: Policy>: Sized {
    /// What is still in it.
    type Left;

    /// What is in it; or the error that it is, as that of any id.
    ///
    /// # Errors
    /// The error.
    fn split(self) -> Result<Self::Left, P::Returned>;

    /// Takes out what was computed for an id.
    fn take(left: &mut Self::Left, id: &E) -> P::Returned;

    /// For how many ids something is left that nobody asked for.
    fn left(left: &Self::Left) -> usize;

    /// All values. An id without one is not in the map.
    fn gather(values: impl Iterator<Item = (E, P::Returned)>) -> Self;

    /// The error that ended it.
    fn failed(error: P::Returned) -> Self;
}

// By the kind of the policy, so that one of them is meant, and what is wrong is wrong with the map.
impl<E, M, S, C, L, X> EachReturned<E, Rules<Whole, S, C, L, X>> for M
where
    M: ByKey,
    E: AsKey<M::Key>,
    Rules<Whole, S, C, L, X>: Policy<Returned = Option<M::Value>>,
{
    type Left = M;

    fn split(self) -> Result<M, Option<M::Value>> {
        Ok(self)
    }

    fn take(left: &mut M, id: &E) -> Option<M::Value> {
        left.take(&id.as_key())
    }

    fn left(left: &M) -> usize {
        left.left()
    }

    fn gather(values: impl Iterator<Item = (E, Option<M::Value>)>) -> Self {
        let present = |(id, value): (E, Option<M::Value>)| Some((id.as_key(), value?));
        values.filter_map(present).collect()
    }

    // Nothing that is shared whole is an error.
    fn failed(_: Option<M::Value>) -> Self {
        Self::from_iter([])
    }
}

impl<E, M, F, S, C, L, X> EachReturned<E, Rules<OkOnly<F>, S, C, L, X>> for Result<M, F>
where
    M: ByKey,
    E: AsKey<M::Key>,
    Rules<OkOnly<F>, S, C, L, X>: Policy<Returned = Result<Option<M::Value>, F>>,
{
    type Left = M;

    fn split(self) -> Result<M, Result<Option<M::Value>, F>> {
        self.map_err(Err)
    }

    fn take(left: &mut M, id: &E) -> Result<Option<M::Value>, F> {
        Ok(left.take(&id.as_key()))
    }

    fn left(left: &M) -> usize {
        left.left()
    }

    fn gather(values: impl Iterator<Item = (E, Result<Option<M::Value>, F>)>) -> Self {
        let present = |(id, value): (E, Result<Option<M::Value>, F>)| match value {
            Ok(value) => Some(Ok((id.as_key(), value?))),
            Err(error) => Some(Err(error)),
        };
        values.filter_map(present).collect()
    }

    fn failed(error: Result<Option<M::Value>, F>) -> Self {
        error.map(|_| M::from_iter([]))
    }
}

/// The ids of a call, each with its plan.
pub type Entrants<E> = Vec<(E, Plan)>;

/// What `each` can go through by reference: a slice, a `&Vec<T>`, a reference to a set.
#[diagnostic::on_unimplemented(
    message = "`each` cannot go through `{Self}`",
    label = "this is no list of ids",
    note = "take a slice, a `Vec`, a set, a reference to one of them, or an `impl IntoIterator`"
)]
pub trait Ids<E> {
    /// Its ids, cloned.
    fn ids(self) -> impl Iterator<Item = E>;
}

#[diagnostic::do_not_recommend]
impl<'a, C: ?Sized, E: Clone + 'a> Ids<E> for &'a C
where
    &'a C: IntoIterator<Item = &'a E>,
{
    fn ids(self) -> impl Iterator<Item = E> {
        self.into_iter().cloned()
    }
}

/// The ids in what is referred to.
pub fn entrants_of<M: ByKey, K, E: AsKey<M::Key>>(
    of: OfMap<M, K>,
    ids: impl Ids<E>,
    plan: impl FnMut(&E) -> Plan,
) -> Entrants<E::Id> {
    entrants_in(of, ids.ids(), plan)
}

/// The ids in what is owned.
pub fn entrants_in<M: ByKey, K, E: AsKey<M::Key>>(
    _: OfMap<M, K>,
    ids: impl IntoIterator<Item = E>,
    mut plan: impl FnMut(&E) -> Plan,
) -> Entrants<E::Id> {
    let with_plan = |id: E| {
        let plan = plan(&id);
        (id.itself(), plan)
    };
    ids.into_iter().map(with_plan).collect()
}

/// The form in which a function takes its ids.
#[derive(Debug)]
pub struct Form<C: ?Sized>(PhantomData<fn(&C)>);

/// That of these.
pub fn form<C: ?Sized>(_: &C) -> Form<C> {
    Form(PhantomData)
}

impl<C: ?Sized> Clone for Form<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: ?Sized> Copy for Form<C> {}

impl<C> Form<C> {
    /// The ids that are to be computed, as the body knows them.
    pub fn lent<E>(&self, ids: Vec<E>) -> C
    where
        C: Lent<E>,
    {
        C::of_ids(ids)
    }
}

/// What can be made of some ids again.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be made of some of its ids, which is what the body of a function with `each` is given",
    label = "this cannot be made of `{E}`",
    note = "take a slice, a `Vec`, a set, a reference to one of them, or an `impl IntoIterator`"
)]
pub trait Lent<E>: Sized {
    /// The ids in this form.
    fn of_ids(ids: Vec<E>) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E, C: FromIterator<E>> Lent<E> for C {
    fn of_ids(ids: Vec<E>) -> Self {
        ids.into_iter().collect()
    }
}

/// What the body takes by value.
#[diagnostic::on_unimplemented(
    message = "the body of a function with `each` may run more than once, so what it takes by value must be `Clone`, and `{Self}` is not",
    label = "this cannot be cloned",
    note = "take a reference, which is lent anew each time"
)]
pub trait Again: Sized {
    /// Another one.
    fn again(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> Again for T {
    fn again(&self) -> Self {
        self.clone()
    }
}

/// What the body takes by value, once more.
pub fn again<T: Again>(argument: &T) -> T {
    argument.again()
}
