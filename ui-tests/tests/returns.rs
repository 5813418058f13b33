//! What is shared of each return type. The type decides, not its name.

use std::error::Error;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ui_tests::tick;
use worksharing::work_shared;

/// Neither `Serialize` nor `Debug` nor `Clone`.
struct MyError(u64);

type Res<T> = Result<T, MyError>;
type Swapped<E, T> = Result<T, E>;
type Maybe<T> = Option<T>;
type Fixed = Result<u64, MyError>;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Report {
    number: u64,
    lines: Vec<String>,
}

/// Two calls that fail are two executions; two that do not are one.
macro_rules! assert_only_ok_is_shared {
    ($function:expr) => {
        assert_ne!(
            $function(false).err().map(number),
            $function(false).err().map(number)
        );
        assert!($function(true).is_ok());
        assert_eq!($function(true).ok(), $function(true).ok());
    };
}

trait Number {
    fn number(self) -> u64;
}

fn number(error: impl Number) -> u64 {
    error.number()
}

impl Number for MyError {
    fn number(self) -> u64 {
        self.0
    }
}

macro_rules! numbers_by_text {
    ($($error:ty),*) => {$(
        impl Number for $error {
            fn number(self) -> u64 {
                self.to_string().parse().unwrap()
            }
        }
    )*};
}

numbers_by_text!(
    anyhow::Error,
    io::Error,
    Box<dyn Error>,
    Box<dyn Error + Send + Sync>,
    String
);

fn outcome(good: bool) -> Result<u64, String> {
    if good {
        Ok(tick())
    } else {
        Err(tick().to_string())
    }
}

#[test]
fn results_behind_aliases() {
    #[work_shared]
    fn alias(good: bool) -> Res<u64> {
        outcome(good).map_err(|_| MyError(tick()))
    }
    #[work_shared]
    fn swapped(good: bool) -> Swapped<MyError, u64> {
        outcome(good).map_err(|_| MyError(tick()))
    }
    #[work_shared]
    fn fixed(good: bool) -> Fixed {
        outcome(good).map_err(|_| MyError(tick()))
    }
    assert_only_ok_is_shared!(alias);
    assert_only_ok_is_shared!(swapped);
    assert_only_ok_is_shared!(fixed);
}

#[test]
fn results_of_other_crates() {
    #[work_shared]
    fn of_anyhow(good: bool) -> anyhow::Result<u64> {
        outcome(good).map_err(anyhow::Error::msg)
    }
    #[work_shared]
    fn of_io(good: bool) -> io::Result<u64> {
        outcome(good).map_err(io::Error::other)
    }
    #[work_shared]
    fn boxed(good: bool) -> Result<u64, Box<dyn Error>> {
        Ok(outcome(good)?)
    }
    #[work_shared]
    fn boxed_and_sent(good: bool) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let number = outcome(good)?;
        return Ok(number);
    }
    #[work_shared]
    fn standard(good: bool) -> std::result::Result<u64, String> {
        outcome(good)
    }
    assert_only_ok_is_shared!(of_anyhow);
    assert_only_ok_is_shared!(of_io);
    assert_only_ok_is_shared!(boxed);
    assert_only_ok_is_shared!(boxed_and_sent);
    assert_only_ok_is_shared!(standard);
}

#[test]
fn an_error_may_borrow() {
    #[work_shared]
    fn first(text: &str) -> Result<(u64, char), &str> {
        text.chars().next().map(|first| (tick(), first)).ok_or(text)
    }
    assert_eq!(first("abc"), first("abc"));
    assert_eq!(first(""), Err(""));
}

#[tokio::test]
async fn async_results() {
    #[work_shared]
    async fn fallible(good: bool) -> Res<u64> {
        let number = outcome(good).map_err(|_| MyError(tick()))?;
        tokio::task::yield_now().await;
        Ok(number)
    }
    #[work_shared]
    async fn boxed(good: bool) -> Result<u64, Box<dyn Error>> {
        if !good {
            return Err(tick().to_string().into());
        }
        Ok(tick())
    }
    assert_ne!(
        fallible(false).await.err().map(number),
        fallible(false).await.err().map(number)
    );
    assert_eq!(fallible(true).await.ok(), fallible(true).await.ok());
    assert_ne!(
        boxed(false).await.err().map(number),
        boxed(false).await.err().map(number)
    );
    assert_eq!(boxed(true).await.ok(), boxed(true).await.ok());
}

#[test]
fn none_is_not_stored() {
    static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let calls = || CALLS.load(std::sync::atomic::Ordering::Relaxed);
    fn called(some: bool) -> Option<u64> {
        CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        some.then(tick)
    }
    #[work_shared]
    fn option(some: bool) -> Option<u64> {
        called(some)
    }
    #[work_shared]
    fn alias(some: bool) -> Maybe<u64> {
        called(some)
    }
    #[work_shared]
    fn inside_a_result(some: bool) -> Res<Option<u64>> {
        Ok(called(some))
    }
    #[work_shared(cache_none)]
    fn stored(some: bool) -> Maybe<u64> {
        called(some)
    }
    assert_eq!(option(true), option(true));
    assert_eq!((option(false), option(false), calls()), (None, None, 3));
    assert_eq!(alias(true), alias(true));
    assert_eq!((alias(false), alias(false), calls()), (None, None, 6));
    assert!(inside_a_result(false).is_ok_and(|value| value.is_none()));
    assert!(inside_a_result(false).is_ok_and(|value| value.is_none()));
    assert_eq!(calls(), 8);
    assert_eq!((stored(false), stored(false), calls()), (None, None, 9));
}

#[test]
fn owned_types_of_every_kind() {
    #[work_shared]
    fn report(n: u64) -> Report {
        Report {
            number: tick() + n,
            lines: vec!["a".into()],
        }
    }
    #[work_shared]
    fn tuple(n: u64) -> (u64, [u8; 2], std::borrow::Cow<'static, str>, Box<str>) {
        (tick() + n, [1, 2], "a".into(), "b".into())
    }
    #[work_shared]
    fn unit_in_ok(n: u64) -> Result<(), u64> {
        Err(tick() + n)
    }
    assert_eq!(report(1), report(1));
    assert_ne!(report(1), report(2));
    assert_eq!(tuple(1), tuple(1));
    assert_ne!(unit_in_ok(1), unit_in_ok(1));
}

mod closures {
    //! Closures see the `Ok` value and the value inside an `Option`.

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn even(number: &u64) -> bool {
        number.is_multiple_of(2)
    }

    /// Whether `call` is executed again the second time.
    fn again<T: PartialEq>(call: impl Fn() -> T) -> bool {
        call() != call()
    }

    #[test]
    fn cache_if_without_a_type() {
        #[work_shared(cache_if = |value| value.number == 0)]
        fn plain(number: u64) -> Report {
            Report {
                number,
                lines: vec![tick().to_string()],
            }
        }
        #[work_shared(cache_if = |pair| pair.0)]
        fn result(stored: bool) -> Res<(bool, u64)> {
            Ok((stored, tick()))
        }
        #[work_shared(cache_if = |pair| pair.0)]
        fn option(stored: bool) -> Maybe<(bool, u64)> {
            Some((stored, tick()))
        }
        #[work_shared(cache_if = |pair| { pair.0 })]
        fn both(stored: bool) -> Res<Maybe<(bool, u64)>> {
            Ok(Some((stored, tick())))
        }
        assert!(!again(|| plain(0)) && again(|| plain(1)));
        assert!(!again(|| result(true).ok()) && again(|| result(false).ok()));
        assert!(!again(|| option(true)) && again(|| option(false)));
        assert!(!again(|| both(true).ok()) && again(|| both(false).ok()));
    }

    #[test]
    fn cache_if_with_a_type() {
        #[work_shared(cache_if = |pair: &(bool, u64)| -> bool { pair.0 })]
        fn inner(stored: bool) -> Maybe<(bool, u64)> {
            Some((stored, tick()))
        }
        #[work_shared(cache_if = |pair: &Maybe<(bool, u64)>| pair.is_some_and(|pair| pair.0))]
        fn entire(stored: bool) -> Maybe<(bool, u64)> {
            Some((stored, tick()))
        }
        #[work_shared(cache_if = |(stored, _): &(bool, u64)| *stored)]
        fn ok(stored: bool) -> Res<(bool, u64)> {
            Ok((stored, tick()))
        }
        #[work_shared(cache_if = |_: &_| false)]
        fn inferred(n: u64) -> u64 {
            n + tick()
        }
        #[work_shared(cache_if = even)]
        fn function(plus: u64) -> u64 {
            tick() * 2 + plus
        }
        #[work_shared(cache_if = even)]
        fn function_of_inner(plus: u64) -> Option<u64> {
            Some(tick() * 2 + plus)
        }
        assert!(!again(|| inner(true)) && again(|| inner(false)));
        assert!(!again(|| entire(true)) && again(|| entire(false)));
        assert!(!again(|| ok(true).ok()) && again(|| ok(false).ok()));
        assert!(again(|| inferred(1)));
        assert!(!again(|| function(0)) && again(|| function(1)));
        assert!(!again(|| function_of_inner(0)) && again(|| function_of_inner(1)));
    }

    #[test]
    fn none_with_a_closure() {
        static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let calls = || CALLS.swap(0, std::sync::atomic::Ordering::Relaxed);
        fn nothing() -> Option<u64> {
            CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            None
        }
        #[work_shared(cache_none, cache_if = |_| false, ttl = |_| Duration::ZERO)]
        fn not_asked() -> Option<u64> {
            nothing()
        }
        #[work_shared(cache_none, cache_if = |value: &Option<u64>| value.is_some())]
        fn asked() -> Option<u64> {
            nothing()
        }
        assert_eq!((not_asked(), not_asked(), calls()), (None, None, 1));
        assert_eq!((asked(), asked(), calls()), (None, None, 2));
    }

    #[test]
    fn ttl_by_value() {
        #[work_shared(ttl = |value| if value.number == 0 { LONG } else { Duration::ZERO })]
        fn plain(number: u64) -> Report {
            Report {
                number,
                lines: vec![tick().to_string()],
            }
        }
        #[work_shared(ttl = |pair: &(u64, u64)| LONG * pair.0 as u32)]
        fn result(times: u64) -> Res<(u64, u64)> {
            Ok((times, tick()))
        }
        #[work_shared(ttl = |pair| LONG * pair.0 as u32, cache_if = |_| true)]
        fn option(times: u64) -> Option<(u64, u64)> {
            Some((times, tick()))
        }
        assert!(!again(|| plain(0)) && again(|| plain(1)));
        assert!(!again(|| result(1).ok()) && again(|| result(0).ok()));
        assert!(!again(|| option(1)) && again(|| option(0)));
    }

    #[test]
    fn closures_see_arguments_that_are_copied() {
        #[work_shared(cache_if = |value| *value >= least, skip(least))]
        fn at_least(n: u64, least: u64) -> u64 {
            let _ = n;
            tick() + least
        }
        #[work_shared(cache_if = |_| !name.is_empty(), ttl = |_| *ttl)]
        fn by_reference(name: &str, ttl: &Duration) -> u64 {
            let _ = (name, ttl);
            tick()
        }
        assert!(!again(|| at_least(1, 0)));
        assert!(!again(|| by_reference("a", &LONG)) && again(|| by_reference("", &LONG)));
        assert!(again(|| by_reference("a", &Duration::ZERO)));
    }
}
