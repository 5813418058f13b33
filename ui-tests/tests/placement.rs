//! Where annotated functions stand, and what stands on them.

use ui_tests::tick;
use worksharing::work_shared;

mod inner {
    use super::*;

    #[work_shared]
    pub(crate) fn visible(n: u32) -> u64 {
        let _ = n;
        tick()
    }

    #[work_shared]
    pub(in crate::inner) fn hidden() -> u64 {
        tick()
    }

    pub(super) fn ask() -> u64 {
        hidden()
    }

    pub(super) mod deep {
        #[worksharing::work_shared]
        pub(in super::super) fn visible(n: u32) -> u64 {
            let _ = n;
            ui_tests::tick()
        }
    }
}

/// Documented.
#[work_shared]
#[must_use = "it was expensive"]
#[inline(never)]
#[cfg(test)]
fn attributes(#[allow(unused)] n: u32) -> u64 {
    tick()
}

#[cfg(any())]
#[work_shared(banana)]
fn configured_out(n: Missing) {}

#[work_shared]
#[deprecated = "for a test"]
fn old() -> u64 {
    tick()
}

macro_rules! define {
    ($($vis:vis fn $name:ident($argument:ident: $ty:ty) = $key:literal, $ttl:expr, $value:expr;)*) => {$(
        #[work_shared(key = $key, ttl = $ttl)]
        $vis fn $name($argument: $ty) -> u64 {
            $value
        }
    )*};
    (hygienic $name:ident $shown:ident) => {
        #[work_shared(key = "hygienic:{a}:{self.0}")]
        fn $name(&self, a: u32) -> u64 {
            tick()
        }

        #[work_shared(force_refresh = a == 0)]
        async fn $shown(&self, a: u32, (b, _): (u32, u32)) -> Option<u64> {
            let _ = b;
            Some(tick())
        }
    };
    (detached $name:ident $shown:ident $argument:ident) => {
        #[work_shared(detach, key = "detached:{a}:{self.0}")]
        fn $name(&self, a: u32, mut $argument: u32) -> (u64, u32) {
            let other = 1;
            $argument += a + self.0 + other;
            (tick(), $argument)
        }

        #[work_shared(detach)]
        async fn $shown(&self, $argument: &str, (b, _): (u32, u32)) -> Option<String> {
            Some(format!("{}{}{b}", self.0, $argument))
        }
    };
    (argument $name:ident $argument:ident) => {
        // The argument's name comes from the caller, the template's from here.
        #[work_shared(key = "argument:{year}:{year:?}")]
        fn $name($argument: u32) -> u64 {
            tick()
        }
    };
    ($name:ident: $returned:ty = $body:block) => {
        #[work_shared]
        fn $name() -> $returned $body
    };
}

define! {
    fn by_example(year: u32) = "by example:{year}", "1h", tick();
    pub(crate) fn by_another(region: &str) = "by another:{region}", std::time::Duration::from_secs(9), tick();
}

define!(with_block: Result<u64, String> = { if tick() == u64::MAX { return Err("?".into()) } Ok(tick()) });

define!(argument from_another_place year);

#[derive(Debug, Clone)]
struct Hygienic(u32);

impl Hygienic {
    define!(hygienic template default);
    define!(detached outliving outliving_task other);
}

#[test]
fn modules_tell_functions_apart() {
    assert_eq!(inner::visible(1), inner::visible(1));
    assert_eq!(inner::ask(), inner::ask());
    assert_ne!(inner::visible(1), inner::deep::visible(1));
}

#[test]
#[allow(deprecated)]
fn attributes_stay() {
    assert_eq!(attributes(1), attributes(1));
    assert_ne!(attributes(1), attributes(2));
    assert_eq!(old(), old());
}

#[test]
fn functions_in_functions() {
    fn left() -> u64 {
        #[work_shared]
        fn nested() -> u64 {
            tick()
        }
        nested()
    }
    fn right() -> u64 {
        #[work_shared]
        fn nested() -> u64 {
            tick()
        }
        nested()
    }
    let closure = || {
        #[work_shared]
        fn nested() -> u64 {
            tick()
        }
        nested()
    };
    assert_eq!(left(), left());
    assert_eq!(closure(), closure());
    assert_ne!(left(), right());
    assert_ne!(left(), closure());
}

#[tokio::test]
async fn macros_by_example() {
    assert_eq!(by_example(1), by_example(1));
    assert_ne!(by_example(1), by_example(2));
    assert_ne!(by_another("a"), by_another("b"));
    assert_eq!(with_block(), with_block());
    assert_eq!(from_another_place(1), from_another_place(1));
    assert_ne!(from_another_place(1), from_another_place(2));
    let one = Hygienic(1);
    assert_eq!(one.template(1), one.template(1));
    assert_ne!(one.template(1), Hygienic(2).template(1));
    assert_eq!(one.default(1, (2, 3)).await, one.default(1, (2, 3)).await);
    assert_ne!(one.default(1, (2, 3)).await, one.default(1, (3, 3)).await);
    assert_eq!(one.outliving(1, 2), one.outliving(1, 2));
    assert_eq!(one.outliving(1, 2).1, 5);
    assert_eq!(
        one.outliving_task("a", (2, 3)).await.as_deref(),
        Some("1a2")
    );
}

#[test]
fn recursion_and_nesting() {
    #[work_shared]
    fn fibonacci(n: u64) -> u64 {
        if n < 2 {
            return n;
        }
        fibonacci(n - 1) + fibonacci(n - 2)
    }
    assert_eq!(fibonacci(60), 1_548_008_755_920);
}
