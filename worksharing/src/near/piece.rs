//! A value in the text of a key. What is text already, or a number, is written without the machinery of `format!`, which
//! costs a local hit about as much as the look.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

/// The dispatch by the value's type: what writes itself is found here, everything else through `Deref`.
#[derive(Debug)]
pub struct Piece<'a, T: ?Sized>(AnyPiece<'a, T>);

/// A value of any type.
#[derive(Debug)]
pub struct AnyPiece<'a, T: ?Sized>(&'a T);

impl<'a, T: ?Sized> Piece<'a, T> {
    /// Where the dispatch begins.
    pub fn new(value: &'a T) -> Self {
        Self(AnyPiece(value))
    }
}

impl<'a, T: ?Sized> Deref for Piece<'a, T> {
    type Target = AnyPiece<'a, T>;

    fn deref(&self) -> &AnyPiece<'a, T> {
        &self.0
    }
}

// The bound decides.
impl<T: Plain + ?Sized> Piece<'_, T> {
    /// Adds what `{}` gives.
    #[inline]
    pub fn __put(&self, text: &mut String) {
        self.0.0.put(text);
    }
}

impl<T: ?Sized> AnyPiece<'_, T> {
    /// Adds what `{}` gives.
    ///
    /// # Panics
    /// If the value's `Display` fails, as `format!` does.
    #[expect(clippy::expect_used, reason = "as `format!` does")]
    pub fn __put(&self, text: &mut String)
    where
        T: Display,
    {
        write!(text, "{}", self.0).expect("a `Display` returned an error");
    }
}

/// What writes itself.
pub trait Plain {
    /// Adds what `{}` gives.
    fn put(&self, text: &mut String);
}

impl Plain for str {
    #[inline]
    fn put(&self, text: &mut String) {
        text.push_str(self);
    }
}

impl Plain for char {
    #[inline]
    fn put(&self, text: &mut String) {
        text.push(*self);
    }
}

impl Plain for bool {
    fn put(&self, text: &mut String) {
        text.push_str(if *self { "true" } else { "false" });
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Plain for $number {
            #[inline]
            fn put(&self, text: &mut String) {
                text.push_str(itoa::Buffer::new().format(*self));
            }
        }
    )*};
}

numbers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

macro_rules! lent {
    ($($owner:ty: $($t:ident)?;)*) => {$(
        impl$(<$t: Plain + ?Sized>)? Plain for $owner {
            #[inline]
            fn put(&self, text: &mut String) {
                (**self).put(text);
            }
        }
    )*};
}

lent! {
    String:;
    Cow<'_, str>:;
    &T: T;
    &mut T: T;
    Box<T>: T;
    Rc<T>: T;
    Arc<T>: T;
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    struct Own;

    impl Display for Own {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("own")
        }
    }

    macro_rules! same {
        ($($value:expr),* $(,)?) => {
            [$({
                let mut text = String::from("before:");
                Piece::new(&$value).__put(&mut text);
                (text, format!("before:{}", $value))
            }),*]
        };
    }

    fn of_any<T: Display>(value: T) -> (String, String) {
        let [same] = same![value];
        same
    }

    #[test]
    fn it_is_what_display_gives() {
        let text = String::from("{text} é世");
        let same = same![
            0u8,
            u128::MAX,
            i64::MIN,
            -1i8,
            usize::MAX,
            true,
            false,
            '世',
            "",
            "text",
            text,
            &&text,
            Arc::<str>::from("shared"),
            Box::new(7u64),
            Rc::new(text.clone()),
            Cow::Borrowed("lent"),
            &mut 3i32,
            1.5f64,
            f32::NAN,
            Own,
            &Own,
            Box::new(Own),
        ];
        for (found, expected) in same.into_iter().chain([of_any(7u8), of_any(Own)]) {
            assert_eq!(found, expected);
        }
    }

    struct Fails;

    impl Display for Fails {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("so far")?;
            Err(fmt::Error)
        }
    }

    #[test]
    #[should_panic(expected = "a `Display` returned an error")]
    fn a_display_that_fails_is_a_panic_as_in_format() {
        Piece::new(&Fails).__put(&mut String::new());
    }
}
