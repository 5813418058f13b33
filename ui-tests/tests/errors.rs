//! `share_err` and `cache_err`: what becomes of errors.
#![allow(elided_lifetimes_in_paths, mismatched_lifetime_syntaxes)]
#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use ui_tests::tick;
use worksharing::work_shared;

#[derive(Debug, Clone, PartialEq)]
struct Borrowed<'a>(&'a str);

type Answer<'a> = Result<u64, Borrowed<'a>>;

#[work_shared(share_err = false)]
fn hidden(text: &str) -> Result<u64, Borrowed> {
    Err(Borrowed(text))
}

#[work_shared(share_err = false, handle = alias_call)]
async fn alias(text: &str) -> Answer {
    Err(Borrowed(text))
}

#[work_shared(share_err = false, skip_all)]
fn generic<E: Clone + Send>(error: E) -> Result<u64, E> {
    Err(error)
}

impl Borrowed<'_> {
    #[work_shared(share_err = false)]
    fn this(&self) -> Result<u64, Self> {
        Err(self.clone())
    }
}

#[tokio::test]
async fn that_hide_a_lifetime() {
    let text = String::from("text");
    let expected = || Err(Borrowed(&text));
    assert_eq!(hidden(&text), expected());
    assert_eq!(alias(&text).await, expected());
    assert_eq!(alias_call(&text).get().await, expected());
    assert_eq!(generic(Borrowed(&text)), expected());
    assert_eq!(Borrowed(&text).this(), expected());
}

#[test]
fn that_are_kept_to_their_callers() {
    #[work_shared(share_err = false)]
    fn failing() -> Result<u64, u64> {
        thread::sleep(Duration::from_millis(50));
        Err(tick())
    }
    let callers: Vec<_> = (0..4).map(|_| thread::spawn(failing)).collect();
    let errors = callers.into_iter().map(|caller| caller.join().unwrap());
    let different: HashSet<_> = errors.collect();
    assert_eq!(different.len(), 4, "{different:?}");
}

/// Not `Clone`.
#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Refused {
    ticket: u64,
    copies: u32,
}

impl Refused {
    fn new() -> Self {
        let ticket = tick();
        Self { ticket, copies: 0 }
    }

    fn copy(&self) -> Self {
        let Self { ticket, copies } = *self;
        let copies = copies + 1;
        Self { ticket, copies }
    }
}

type Stock = Result<u64, Refused>;

/// What four callers at once are given.
fn four<E: Send + 'static>(call: impl Fn() -> Result<u64, E> + Copy + Send + 'static) -> Vec<E> {
    let callers: Vec<_> = (0..4).map(|_| thread::spawn(call)).collect();
    let errors = callers.into_iter().map(|caller| caller.join().unwrap());
    errors.filter_map(Result::err).collect()
}

fn is_one_with_copies(errors: &[Refused]) {
    let tickets: HashSet<_> = errors.iter().map(|error| error.ticket).collect();
    assert_eq!((errors.len(), tickets.len()), (4, 1), "{errors:?}");
    let own = errors.iter().filter(|error| error.copies == 0);
    assert_eq!(own.count(), 1, "{errors:?}");
}

#[test]
fn that_a_closure_gives_to_those_who_waited() {
    #[work_shared(share_err = |error| error.copy())]
    fn by_closure() -> Result<u64, Refused> {
        thread::sleep(Duration::from_millis(100));
        Err(Refused::new())
    }
    #[work_shared(share_err = Refused::copy)]
    fn by_function() -> Stock {
        thread::sleep(Duration::from_millis(100));
        Err(Refused::new())
    }
    #[work_shared(share_err = |error: &Refused| Refused { copies: by, ..error.copy() }, detach)]
    fn detached(by: u32) -> Stock {
        thread::sleep(Duration::from_millis(100));
        Err(Refused::new())
    }
    is_one_with_copies(&four(by_closure));
    is_one_with_copies(&four(by_function));
    is_one_with_copies(&four(|| detached(7)));
}

#[test]
fn that_are_stored() {
    const LONG: Duration = Duration::from_secs(60);
    #[work_shared(cache_err = "1m")]
    fn literal() -> Result<u64, Refused> {
        Err(Refused::new())
    }
    #[work_shared(cache_err = LONG * minutes, detach)]
    fn expression(minutes: u32) -> Stock {
        Err(Refused::new())
    }
    #[work_shared(cache_err = |error| if error.copies == 0 { LONG } else { Duration::ZERO }, handle = by_closure_call)]
    fn by_closure(copies: u32) -> Stock {
        let ticket = tick();
        Err(Refused { ticket, copies })
    }
    assert_eq!(literal(), literal());
    assert_eq!(expression(1), expression(1));
    assert_ne!(expression(0), expression(0));
    assert_eq!(by_closure(0), by_closure_call(0).get());
    assert_ne!(by_closure(1), by_closure(1));
}

struct Shop(Duration);

impl Shop {
    #[work_shared(cache_err = |_| self.0, share_err = |error| error.copy(), detach, skip(self), handle = sell_call)]
    async fn sell(&self, n: u64) -> Stock {
        tokio::task::yield_now().await;
        if n == 0 { Err(Refused::new()) } else { Ok(n) }
    }
}

impl Clone for Shop {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

#[tokio::test]
async fn of_detached_methods() {
    let shop = Shop(Duration::from_secs(60));
    let (one, other) = tokio::join!(shop.sell(0), shop.sell(0));
    let tickets = [one, other].map(|sold| sold.unwrap_err().ticket);
    assert_eq!(tickets[0], tickets[1]);
    assert_eq!(
        shop.sell_call(0).get().await.unwrap_err().ticket,
        tickets[0]
    );
    assert_eq!(shop.sell(2).await, Ok(2));
}
