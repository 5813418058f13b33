//! Errors of functions with `share_err = false`. That others are given in a process is tested with processes.
#![allow(elided_lifetimes_in_paths, mismatched_lifetime_syntaxes)]

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
