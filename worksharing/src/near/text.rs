//! The text of a key, written without an allocation where that can be.

use std::cell::Cell;
use std::fmt::{self, Write as _};

thread_local! {
    static BUFFER: Cell<String> = const { Cell::new(String::new()) };
}

/// A longer one is not kept for the next text.
const LONGEST: usize = 16 << 10;

/// An empty text, with the room of the last one of this thread that was given back. Taken out while it is written to:
/// a user's `Display` may call a shared function.
#[inline]
pub fn take() -> String {
    BUFFER.try_with(Cell::take).unwrap_or_default()
}

/// Gives it back, for the next text.
#[inline]
pub(crate) fn give_back(mut text: String) {
    if text.capacity() <= LONGEST {
        text.clear();
        // A thread that ends has no buffer any more.
        let _ = BUFFER.try_with(|buffer| buffer.set(text));
    }
}

/// What `format!` gives, in the room of the last text of this thread.
pub fn written(arguments: fmt::Arguments<'_>) -> String {
    let mut text = take();
    match text.write_fmt(arguments) {
        Ok(()) => text,
        // A `Display` that fails: that is a panic there, and so it is here.
        Err(fmt::Error) => fmt::format(arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nested;

    impl fmt::Display for Nested {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let inner = written(format_args!("inner"));
            f.write_str(&inner)?;
            give_back(inner);
            Ok(())
        }
    }

    #[test]
    fn texts_inside_of_texts_do_not_mix() {
        for _ in 0..3 {
            let text = written(format_args!("outer({Nested},{Nested})"));
            assert_eq!(text, "outer(inner,inner)");
            give_back(text);
        }
        assert!(take().capacity() > 0, "the room is used again");
        assert_eq!(take().capacity(), 0, "it is there once");
    }

    #[test]
    fn a_long_text_is_not_kept() {
        give_back("x".repeat(LONGEST + 1));
        assert_eq!(take().capacity(), 0);
    }
}
