use std::any::type_name;
use std::fmt::{Debug, Display, Write as _};

use crate::near::{take, written};

/// What can be part of the default key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `Debug`, so it cannot be part of the default key of a `#[work_shared]` function",
    label = "this argument has no `Debug`",
    note = "leave it out with `skip(…)`, write the key yourself with `key = \"…\"`, or derive `Debug`"
)]
pub trait KeyPart: Debug {}

#[diagnostic::do_not_recommend]
impl<T: Debug + ?Sized> KeyPart for T {}

/// What the option `key` can be, where it is no template.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `Display`, so it cannot be the key of a `#[work_shared]` function",
    label = "this has no `Display`",
    note = "write a template, like `key = \"{{argument.id}}\"` or `key = \"{{argument:?}}\"`"
)]
pub trait KeyText: Display {}

#[diagnostic::do_not_recommend]
impl<T: Display + ?Sized> KeyText for T {}

/// The characteristic string of the option `key`, where it is no template.
pub fn text<T: KeyText + ?Sized>(key: &T) -> String {
    key.to_string()
}

/// The same, [`written`].
pub fn local_text<T: KeyText + ?Sized>(key: &T) -> String {
    written(format_args!("{key}"))
}

/// The key of a function without the option `key`: where the function stands, then the `Debug` of
/// every argument.
///
/// Every part is preceded by its length, so that no two different lists of parts give one string:
/// `18:app::reports::find(4:2024,4:"DE")`.
#[derive(Debug)]
#[must_use]
pub struct DefaultKey {
    characteristic: String,
    empty: bool,
}

impl DefaultKey {
    /// Begins the key. A closure of the function has a type whose name holds all that tells the
    /// function from every other: module, outer functions, `impl` and trait with their types,
    /// generic arguments.
    pub fn new<C: Fn()>(_here: C) -> Self {
        Self::of(function_of(type_name::<C>()))
    }

    /// The same for the function of this name, whose closure stands in its handle: with a handle or without, a
    /// function's key is the same.
    pub fn of_handle<C: Fn()>(_here: C, name: &str) -> Self {
        Self::of(&renamed(function_of(type_name::<C>()), name))
    }

    fn of(function: &str) -> Self {
        let mut key = Self {
            characteristic: take(),
            empty: true,
        };
        key.push(function);
        key.characteristic.push('(');
        key
    }

    /// Adds an argument.
    pub fn arg<T: KeyPart + ?Sized>(mut self, part: &T) -> Self {
        if !std::mem::take(&mut self.empty) {
            self.characteristic.push(',');
        }
        self.push(format_args!("{part:?}"));
        self
    }

    /// The characteristic string.
    pub fn finish(mut self) -> String {
        self.characteristic.push(')');
        self.characteristic
    }

    /// The length goes before the part once it is known, so that no part is written elsewhere first.
    fn push(&mut self, part: impl Display) {
        let text = &mut self.characteristic;
        let start = text.len();
        // Writing to a string fails only if the `Debug` does: then the part is what it wrote.
        let _ = write!(text, "{part}");
        let mut length = text.len() - start;
        text.insert(start, ':');
        loop {
            text.insert(start, char::from(b'0' + (length % 10) as u8));
            length /= 10;
            if length == 0 {
                break;
            }
        }
    }
}

/// The function that a closure's type name tells of. In an async function the closure stands in
/// another one.
fn function_of(mut closure: &str) -> &str {
    while let Some(outer) = closure.strip_suffix("::{{closure}}") {
        closure = outer;
    }
    closure
}

/// A function's path with another last name, before its generic arguments.
fn renamed(path: &str, name: &str) -> String {
    let mut depth = 0;
    let mut last = 0;
    let mut end = path.len();
    for (at, letter) in path.char_indices() {
        match letter {
            '<' => {
                if depth == 0 {
                    end = at;
                }
                depth += 1;
            }
            // Of `->` in the type of a function.
            '>' if path[..at].ends_with('-') => (),
            '>' => depth -= 1,
            ':' if depth == 0 && path[..at].ends_with(':') => (last, end) = (at + 1, path.len()),
            _ => (),
        }
    }
    format!("{}{name}{}", &path[..last], &path[end.max(last)..])
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn key(function: &str, parts: &[&str]) -> String {
        let key = DefaultKey::of(function);
        parts
            .iter()
            .fold(key, |key, part| key.arg(&Raw(part)))
            .finish()
    }

    /// A part whose `Debug` is any text at all.
    struct Raw<'a>(&'a str);

    impl Debug for Raw<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    #[test]
    fn a_handle_gives_way_to_its_function() {
        for (path, expected) in [
            ("app::report_call", "app::report"),
            ("app::report_call<u8, 3>", "app::report<u8, 3>"),
            (
                "app::report_call<fn(u8) -> app::T>",
                "app::report<fn(u8) -> app::T>",
            ),
            (
                "<app::S<u8> as app::Trait<a::b>>::report_call",
                "<app::S<u8> as app::Trait<a::b>>::report",
            ),
            (
                "app::outer<a::b>::report_call<c::d>",
                "app::outer<a::b>::report<c::d>",
            ),
            ("report_call", "report"),
        ] {
            assert_eq!(renamed(path, "report"), expected);
        }
    }

    fn generic<T: Debug>(argument: T) -> String {
        DefaultKey::new(|| {}).arg(&argument).finish()
    }

    #[test]
    fn reads_like_a_call() {
        assert_eq!(
            key("app::find", &["2024", "\"DE\""]),
            "9:app::find(4:2024,4:\"DE\")"
        );
        assert_eq!(key("app::find", &[]), "9:app::find()");
    }

    #[test]
    fn names_the_function_and_its_types() {
        let here = concat!(module_path!(), "::generic<u8>");
        assert_eq!(generic(1u8), format!("{}:{here}(1:1)", here.len()));
        assert_ne!(generic(1u8), generic(1u64));
    }

    #[test]
    fn enclosing_functions_count() {
        fn left() -> String {
            fn inner() -> String {
                DefaultKey::new(|| {}).finish()
            }
            inner()
        }
        fn right() -> String {
            fn inner() -> String {
                DefaultKey::new(|| {}).finish()
            }
            inner()
        }
        assert_ne!(left(), right());
    }

    #[test]
    fn an_async_function_is_named_without_its_closures() {
        assert_eq!(
            function_of("app::find::{{closure}}::{{closure}}"),
            "app::find"
        );
    }

    #[test]
    fn shifted_parts_differ() {
        assert_ne!(key("f", &["a:b", "c"]), key("f", &["a", "b:c"]));
        assert_ne!(key("f", &["a,1:b"]), key("f", &["a", "b"]));
        assert_ne!(key("f", &[""]), key("f", &[]));
        assert_ne!(key("f(1:a)", &[]), key("f", &["a"]));
    }

    proptest! {
        /// Out of few letters that the encoding itself uses, so that near misses are many.
        #[test]
        fn different_calls_have_different_keys(
            calls in prop::collection::vec(
                ("[f(:]{1,3}", prop::collection::vec("[1-3:,()a]{0,4}", 0..4)),
                2..40,
            ),
        ) {
            let mut seen = HashMap::new();
            for call in calls {
                let parts: Vec<&str> = call.1.iter().map(String::as_str).collect();
                let text = key(&call.0, &parts);
                let earlier = seen.entry(text).or_insert_with(|| call.clone());
                prop_assert_eq!(earlier, &call);
            }
        }
    }
}
