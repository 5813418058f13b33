use std::process;
use std::ptr;
use std::sync::OnceLock;

/// A value of which a forked child has its own. What a child inherits may be locked by a thread that it does not
/// have, so nothing of it is touched.
pub(crate) struct PerProcess<T>(OnceLock<Box<Owned<T>>>);

struct Owned<T> {
    process: u32,
    value: T,
    child: PerProcess<T>,
}

impl<T> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// This process's value, which `new` makes when it is first needed.
    pub(crate) fn get(&self, new: impl Fn() -> T) -> &T {
        self.of(process::id(), new)
    }

    fn of(&self, process: u32, new: impl Fn() -> T) -> &T {
        let owned = self.0.get_or_init(|| {
            Box::new(Owned {
                process,
                value: new(),
                child: Self::new(),
            })
        });
        if owned.process == process {
            return &owned.value;
        }
        owned.child.of(process, new)
    }

    /// This process's value, if there is one.
    pub(crate) fn peek(&self) -> Option<&T> {
        let owned = self.0.get()?;
        if owned.process == process::id() {
            return Some(&owned.value);
        }
        owned.child.peek()
    }

    /// Whether this is this process's value, and not one that it has inherited.
    pub(crate) fn is_own(&self, value: &T) -> bool {
        self.peek().is_some_and(|own| ptr::eq(own, value))
    }
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_child_has_a_value_of_its_own() {
        let values = PerProcess::new();
        let of = |process, value| *values.of(process, || value);
        assert_eq!([of(1, 10), of(2, 20), of(3, 30)], [10, 20, 30]);
        assert_eq!([of(3, 0), of(1, 0), of(2, 0)], [30, 10, 20]);
    }

    #[test]
    fn what_a_child_inherits_is_not_its_own() {
        let values = PerProcess::new();
        let inherited = values.of(process::id() ^ 1, || 1);
        assert!(!values.is_own(inherited));
        let own = values.get(|| 2);
        assert!(values.is_own(own) && !values.is_own(inherited));
    }
}
