//! What a detached computation takes along of the arguments of its function.
//!
//! Each is kept by the task, and lent to the body as what it was: a reference, which the task has cloned, or an owned
//! value, which has moved. How is told by the type, whatever alias it is written by: a method found for `&T` or
//! `Option<&T>` wins over the same one found through `Deref`. The bounds stand on the methods that come after: where the
//! dispatch is, it would silently fall through; and on the structs they would say twice what is wrong.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::ops::Deref;

/// Where the dispatch of an argument begins.
pub fn argument<T>(_: &T) -> Argument<T> {
    Argument(OwnedArgument(PhantomData))
}

/// The type of an argument.
#[derive(Debug)]
pub struct Argument<T>(OwnedArgument<T>);

/// The type of an argument that is not a reference.
#[derive(Debug)]
pub struct OwnedArgument<T>(PhantomData<fn() -> T>);

impl<T> Deref for Argument<T> {
    type Target = OwnedArgument<T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T: ?Sized> Argument<&T> {
    /// A reference is cloned.
    pub fn __taken(&self) -> Cloned {
        Cloned
    }
}

impl<T: ?Sized> Argument<Option<&T>> {
    /// So is one in an `Option`.
    pub fn __taken(&self) -> ClonedInside {
        ClonedInside
    }
}

impl<T> OwnedArgument<T> {
    /// Everything else moves.
    pub fn __taken(&self) -> Moved {
        Moved
    }
}

/// How a reference is taken along.
#[derive(Debug)]
pub struct Cloned;

/// How a reference in an `Option` is.
#[derive(Debug)]
pub struct ClonedInside;

/// How an owned argument is.
#[derive(Debug)]
pub struct Moved;

impl Cloned {
    /// Clones it.
    pub fn __keep<T: ToOwned + ?Sized>(self, argument: &T) -> OfReference<T, T::Owned> {
        OfReference(argument.to_owned(), PhantomData)
    }
}

impl ClonedInside {
    /// Clones it, if it is there.
    pub fn __keep<T: ToOwned + ?Sized>(self, argument: Option<&T>) -> OfOption<T, T::Owned> {
        OfOption(argument.map(ToOwned::to_owned), PhantomData)
    }
}

impl Moved {
    /// Moves it.
    pub fn __keep<T>(self, argument: T) -> OfOwned<T> {
        OfOwned(argument)
    }
}

/// What a task keeps of a `&T`.
#[derive(Debug)]
pub struct OfReference<T: ?Sized, K>(K, PhantomData<fn(&T)>);

/// What a task keeps of an `Option<&T>`.
#[derive(Debug)]
pub struct OfOption<T: ?Sized, K>(Option<K>, PhantomData<fn(&T)>);

/// What a task keeps of a `T`.
#[derive(Debug)]
pub struct OfOwned<T>(T);

impl<T: ?Sized, K: Borrow<T>> OfReference<T, K> {
    /// It goes to a thread of its own.
    pub fn __sent(self) -> Self
    where
        K: Send + 'static,
    {
        self
    }

    /// It goes into an async task, which has a reference to it. That it is `Send` follows, for all but a few types, of
    /// which the task tells.
    pub fn __shared(self) -> Self
    where
        T: Sync,
        K: 'static,
    {
        self
    }

    /// The argument, as the body knows it. `owner` holds what it refers to.
    pub fn __lent(self, owner: &mut Option<K>) -> &T {
        let owned: &K = owner.insert(self.0);
        owned.borrow()
    }
}

impl<T: ?Sized, K: Borrow<T>> OfOption<T, K> {
    /// It goes to a thread of its own.
    pub fn __sent(self) -> Self
    where
        K: Send + 'static,
    {
        self
    }

    /// It goes into an async task, which has a reference to it. That it is `Send` follows, for all but a few types, of
    /// which the task tells.
    pub fn __shared(self) -> Self
    where
        T: Sync,
        K: 'static,
    {
        self
    }

    /// The argument, as the body knows it. `owner` holds what it refers to.
    pub fn __lent(self, owner: &mut Option<K>) -> Option<&T> {
        *owner = self.0;
        owner.as_ref().map(Borrow::borrow)
    }
}

impl<T> OfOwned<T> {
    /// It goes to a thread of its own.
    pub fn __sent(self) -> Self
    where
        T: Send + 'static,
    {
        self
    }

    /// It goes into an async task.
    pub fn __shared(self) -> Self
    where
        T: Send + 'static,
    {
        self
    }

    /// The argument, as the body knows it. Nothing is to be held.
    pub fn __lent(self, _: &mut Option<Infallible>) -> T {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Alias<'a> = Option<&'a [u8]>;

    #[test]
    fn what_was_borrowed_is_borrowed_from_the_task() {
        let text = String::from("text");
        let kept = argument(&text.as_str())
            .__taken()
            .__keep(text.as_str())
            .__sent();
        drop(text);
        assert_eq!(kept.__lent(&mut None), "text");
    }

    #[test]
    fn so_it_is_in_an_option() {
        let bytes = vec![1, 2];
        let slice: Alias<'_> = Some(&bytes);
        let kept = argument(&slice).__taken().__keep(slice).__sent();
        drop(bytes);
        assert_eq!(kept.__lent(&mut None), Some(&[1, 2][..]));
        let none: Alias<'_> = None;
        assert_eq!(
            argument(&none).__taken().__keep(none).__lent(&mut None),
            None
        );
    }

    #[test]
    fn what_is_owned_moves() {
        struct NotClone(u32);
        let moved = |value: NotClone| argument(&value).__taken().__keep(value).__lent(&mut None);
        assert_eq!(moved(NotClone(7)).0, 7);
    }

    #[test]
    fn what_a_type_parameter_stands_for_moves_whole() {
        fn taken<T: Send + 'static>(value: T) -> T {
            argument(&value)
                .__taken()
                .__keep(value)
                .__sent()
                .__lent(&mut None)
        }
        let text: &'static str = "text";
        // It is this text, and no clone.
        let moved: &'static str = taken(text);
        assert_eq!(moved.as_ptr(), text.as_ptr());
    }
}
