//! The option `local`, as far as the attribute has to do with it.

#![allow(clippy::unwrap_used, reason = "what fails in a test fails the test")]

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ui_tests::tick;
use worksharing::{WorkSharing, work_shared};

type Sharing = LazyLock<WorkSharing>;

fn sharing() -> WorkSharing {
    let builder = WorkSharing::builder().namespace("local");
    builder.build().unwrap()
}

/// How many calls were answered from the process, and how many from the store.
fn hits(sharing: &WorkSharing) -> (u64, u64) {
    let stats = sharing.stats();
    (stats.local, stats.hits)
}

#[test]
fn a_value_is_kept_under_its_key_version_and_type() {
    static SHARING: Sharing = LazyLock::new(sharing);
    #[work_shared(local = "1h", key = "number:{n}:{a}", via = SHARING)]
    fn number(n: u64, (a, _): (u8, u8)) -> u64 {
        tick() + n + u64::from(a)
    }
    #[work_shared(local = "1h", key = format!("number:{n}:{a}"), version = 2, via = SHARING)]
    fn next(n: u64, a: u8) -> u64 {
        tick() + n + u64::from(a)
    }
    #[work_shared(local = "1h", key = "number:1:2", via = SHARING)]
    fn text() -> String {
        tick().to_string()
    }
    let first = number(1, (2, 3));
    assert_eq!(number(1, (2, 4)), first);
    assert_eq!(hits(&SHARING), (1, 0));
    assert_ne!(number(2, (2, 3)), first);
    assert_ne!(next(1, 2), first);
    assert_eq!(hits(&SHARING), (1, 0));
    // Another type, under the same text.
    assert_eq!(text(), text());
    assert_eq!(number(1, (2, 3)), first);
    assert_eq!(hits(&SHARING), (3, 0));
}

#[test]
fn a_default_key_is_kept_too() {
    static SHARING: Sharing = LazyLock::new(sharing);
    #[work_shared(local = Duration::from_secs(3600), via = SHARING, skip(_unused))]
    fn sum((a, b): (u64, u64), text: &str, _unused: u8) -> u64 {
        tick() + a + b + text.len() as u64
    }
    let first = sum((1, 2), "three", 4);
    assert_eq!(sum((1, 2), "three", 5), first);
    assert_ne!(sum((1, 2), "fourteen", 4), first);
    assert_eq!(hits(&SHARING), (1, 0));
}

/// Its `Display` calls a shared function.
struct Nested;

impl fmt::Display for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", inner(7))
    }
}

static NESTED: Sharing = LazyLock::new(sharing);

#[work_shared(local = "1h", key = "inner:{n}", via = NESTED)]
fn inner(n: u64) -> u64 {
    n
}

#[work_shared(local = "1h", key = "outer:{nested}:{nested}", via = NESTED)]
fn outer(nested: &Nested) -> u64 {
    tick()
}

#[test]
fn a_key_may_call_a_shared_function() {
    let first = outer(&Nested);
    assert_eq!(outer(&Nested), first);
    assert_eq!(hits(&NESTED), (4, 0));
    let work = NESTED.work::<u64>("outer:<7>:<7>");
    assert_eq!(work.peek_blocking(), Some(first));
}

// Each test that counts has its own.
static HANDLES: Sharing = LazyLock::new(sharing);
static WAITING: Sharing = LazyLock::new(sharing);

#[work_shared(local = "1h", key = "blocking:{n}", stale_while_revalidate = "1h", via = HANDLES, handle = blocking_call)]
fn blocking(n: u64) -> Result<Option<u64>, String> {
    if n == 0 {
        return Err("zero".to_owned());
    }
    Ok((n > 1).then(tick))
}

#[work_shared(local = "1h", early_refresh, detach, wait = "5s", on_timeout = "compute", via = WAITING, handle = waiting_call)]
async fn waiting(n: u64) -> Result<u64, String> {
    tokio::task::yield_now().await;
    Ok(n + tick())
}

#[test]
fn a_handle_forgets_and_refreshes() {
    let first = blocking(7);
    assert_eq!(blocking(7), first);
    assert_eq!(blocking_call(7).get(), first);
    assert_eq!(HANDLES.stats().local, 2);
    blocking_call(7).invalidate().unwrap();
    let second = blocking(7);
    assert_ne!(second, first);
    assert_eq!(blocking(7), second);
    let third = blocking_call(7).refresh();
    assert_ne!(third, second);
    assert_eq!(blocking(7), third);
    // What is not stored is not kept.
    for _ in 0..2 {
        assert!(blocking(0).is_err());
        assert_eq!(blocking(1), Ok(None));
    }
}

#[tokio::test]
async fn a_detached_task_fills_it() {
    static SHARING: Sharing = LazyLock::new(sharing);
    #[work_shared(local = "1h", detach, key = "task", via = SHARING)]
    async fn task() -> u64 {
        tokio::task::yield_now().await;
        tick()
    }
    let first = task().await;
    assert_eq!(task().await, first);
    assert_eq!(hits(&SHARING), (1, 0));
    let first = waiting(1).await;
    assert_eq!(waiting(1).await, first);
    let refreshed = waiting_call(1).refresh().await;
    assert_ne!(refreshed, first);
    assert_eq!(waiting(1).await, refreshed);
}

/// It cannot be cloned, but what holds it can.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Large(Vec<u64>);

#[derive(Clone)]
struct Service {
    sharing: WorkSharing,
    id: u64,
}

impl Service {
    #[work_shared(local = "1h", key = "large:{self.id}", cache_if = |large| large.0[0] < 100, via = self.sharing)]
    async fn large(&self, n: u64) -> Option<Arc<Large>> {
        Some(Arc::new(Large(vec![n])))
    }

    #[work_shared(local = "1h", key = "generic:{n}", via = self.sharing)]
    fn generic<T>(&self, n: T) -> T
    where
        T: fmt::Display + Clone + Send + Sync + Serialize + serde::de::DeserializeOwned + 'static,
    {
        n
    }
}

#[tokio::test]
async fn a_method_gives_out_what_it_keeps() {
    let (sharing, id) = (sharing(), 3);
    let service = Service { sharing, id };
    assert_eq!(service.large(100).await.unwrap().0, [100], "not stored");
    let first = service.large(1).await.unwrap();
    assert_eq!(first.0, [1]);
    let kept = service.large(2).await.unwrap();
    assert_eq!(kept.0, [1]);
    assert!(Arc::ptr_eq(&kept, &service.large(3).await.unwrap()));
    assert_eq!(service.generic("7".to_owned()), "7");
    assert_eq!(service.generic("7".to_owned()), "7");
    // The same text, and another type: that is what is stored under it, too.
    assert_eq!(service.generic(7), 7);
    assert_eq!(service.sharing.stats().local, 3);
}

#[test]
fn a_refresh_does_not_look() {
    static SHARING: Sharing = LazyLock::new(sharing);
    #[work_shared(local = "1h", key = "refreshed", force_refresh = anew, via = SHARING)]
    fn number(anew: bool) -> u64 {
        tick()
    }
    let first = number(false);
    let second = number(true);
    assert_ne!(first, second);
    assert_eq!(number(false), second, "the old value is gone");
}

static TAGGED: Sharing = LazyLock::new(sharing);

#[work_shared(local = "1h", key = "tagged", tags("from:{from}", "to:{to}", function), via = TAGGED, handle = tagged_call)]
fn tagged(from: u64, to: u64) -> u64 {
    tick()
}

#[test]
fn a_tag_invalidates_what_is_kept() {
    let first = tagged(1, 2);
    assert_eq!(tagged(1, 2), first);
    assert_eq!(tagged_call(1, 2).get(), first);
    assert_eq!(hits(&TAGGED), (2, 0));
    TAGGED.invalidate_tag_blocking("to:2").unwrap();
    let second = tagged(1, 2);
    assert_ne!(second, first);
    assert_eq!(tagged(1, 2), second);
    assert_eq!(hits(&TAGGED), (3, 0));
    // The same key with other tags is none of it.
    let other = tagged(1, 1);
    assert_ne!(other, second);
    assert_eq!(tagged(1, 1), other, "one tag that is written twice");
    assert_eq!(hits(&TAGGED), (4, 0));
    TAGGED
        .invalidate_function_blocking(concat!(module_path!(), "::tagged"))
        .unwrap();
    assert_ne!(tagged(1, 1), other);
}

/// Its runtime is behind a lock, and lent by a guard.
struct Guarded(std::sync::Mutex<WorkSharing>);

impl Guarded {
    fn sharing(&self) -> std::sync::MutexGuard<'_, WorkSharing> {
        self.0.lock().unwrap()
    }

    #[work_shared(local = "1h", key = "guarded:{n}", via = self.sharing())]
    async fn number(&self, n: u64) -> u64 {
        tokio::task::yield_now().await;
        assert!(self.0.try_lock().is_ok(), "the guard is given back");
        n + tick()
    }
}

#[tokio::test]
async fn a_runtime_is_borrowed_for_the_look_only() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let guarded = Guarded(std::sync::Mutex::new(sharing()));
    let first = is_send(guarded.number(1)).await;
    assert_eq!(guarded.number(1).await, first);
    assert_eq!(guarded.sharing().stats().local, 1);
}

#[test]
fn a_template_gives_what_format_gives() {
    static SHARING: Sharing = LazyLock::new(sharing);
    struct Shown(f64);
    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "shown {}", self.0)
        }
    }
    #[work_shared(
        local = "1h",
        key = "{{{text}}}:{owned}:{number}:{yes}:{letter}:{generic}:{shown}:{maybe.is_some()}:{count.len()}:{N}",
        via = SHARING
    )]
    #[expect(clippy::too_many_arguments, reason = "of each kind one")]
    fn all<T: fmt::Display + ?Sized, const N: usize>(
        text: &str,
        owned: &String,
        number: i64,
        yes: bool,
        letter: char,
        generic: &T,
        shown: &Shown,
        maybe: Option<u8>,
        count: [u8; N],
    ) -> u64
    where
        [u8; N]: Named,
    {
        tick()
    }
    trait Named {}
    impl Named for [u8; 2] {}
    let text = "é{}".to_owned();
    let _ = all(
        "text",
        &text,
        -7,
        true,
        '世',
        "generic",
        &Shown(1.5),
        None,
        [1, 2],
    );
    let key = "{text}:é{}:-7:true:世:generic:shown 1.5:false:2:2";
    assert!(SHARING.work::<u64>(key).peek_blocking().is_some());
}
