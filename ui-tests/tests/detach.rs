//! `detach`: what is taken along, and that the body goes on without its caller.

use std::borrow::Cow;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use async_trait::async_trait;
use ui_tests::tick;
use worksharing::{WorkSharing, work_shared};

#[derive(Debug, Clone, PartialEq)]
struct Point {
    x: u32,
    y: u32,
}

impl Point {
    const ONE: Self = Self { x: 1, y: 2 };
}

type Text<'a> = &'a str;
type Maybe<'a> = Option<&'a Point>;

#[work_shared(detach)]
async fn borrowed(
    text: &str,
    list: &[u8],
    point: &Point,
    path: &Path,
    vec: &Vec<u32>,
) -> (u64, usize) {
    tokio::task::yield_now().await;
    let length = text.len() + list.len() + point.x as usize + path.as_os_str().len() + vec.len();
    (tick(), length)
}

#[work_shared(detach)]
fn by_type(
    text: Text<'_>,
    maybe: Maybe<'_>,
    slice: Option<&[u8]>,
    none: Option<&str>,
) -> (u64, u32) {
    assert!(none.is_none());
    let point = maybe.map_or(0, |point| point.y);
    (
        tick(),
        text.len() as u32 + point + slice.map_or(0, <[u8]>::len) as u32,
    )
}

#[derive(Debug)]
struct NotClone(u64);

static FOR_EVER: NotClone = NotClone(7);

#[work_shared(detach, skip(call))]
async fn owned(
    text: String,
    once: NotClone,
    for_ever: &'static NotClone,
    cow: Cow<'static, str>,
    call: Arc<dyn Fn(&str) -> usize + Send + Sync>,
) -> u64 {
    tokio::task::yield_now().await;
    drop(text.into_bytes());
    once.0 + for_ever.0 + cow.into_owned().len() as u64 + call("abc") as u64
}

#[work_shared(detach)]
async fn patterns(
    (mut a, b): (u64, u64),
    _: u32,
    mut n: u64,
    Point { x, .. }: Point,
    r#type: u8,
) -> (u64, u64) {
    a += b;
    n += a;
    (tick(), n + u64::from(x) + u64::from(r#type))
}

#[work_shared(detach, key = "patterns:{a}:{b}:{n}")]
fn patterns_of_a_template((a, mut b): (u64, String), mut n: u64) -> (u64, String) {
    n += a;
    b.push('!');
    (n, b)
}

#[work_shared(detach)]
async fn generic<T, const N: usize>(
    list: [T; N],
    more: impl AsRef<str> + std::fmt::Debug + Send + 'static,
) -> usize
where
    T: std::fmt::Debug + Send + 'static,
{
    tokio::task::yield_now().await;
    list.len() + N + more.as_ref().len()
}

#[work_shared(detach)]
fn generic_by_reference<T: std::fmt::Debug + Clone + Send + 'static>(
    value: &T,
    list: &[T],
) -> String {
    format!("{value:?}{list:?}")
}

#[work_shared(detach, key = "{view.0}")]
async fn only_in_the_key(view: &View<'_>, n: u64) -> u64 {
    n + tick()
}

struct View<'a>(&'a str);

#[work_shared(detach)]
async fn named_lifetime<'a, 'b>(left: &'a str, right: Option<&'b str>) -> usize {
    let both: (&'a str, &'b str) = (left, right.unwrap_or_default());
    fn longer<'a>(one: &'a str, other: &'a str) -> &'a str {
        if one.len() > other.len() { one } else { other }
    }
    let mut rounds = 0;
    'a: loop {
        rounds += 1;
        if rounds < 3 {
            continue 'a;
        }
        break 'a longer(both.0, both.1).len() + both.1.len();
    }
}

#[work_shared(detach)]
async fn captured_by_a_format(name: &str, n: u32, width: usize) -> String {
    format!("{name}: {n:width$?}")
}

/// What the body does not use stays with the caller, whatever else has its name.
#[work_shared(detach, key = "{outer}:{y.0}")]
fn names_of_something_else(outer: &dyn std::fmt::Display, y: &mut NotClone) -> u64 {
    const POINT: Point = Point::ONE;
    outer::of_module() + u64::from(POINT.y)
}

#[work_shared(detach)]
async fn leaves_early(n: u32) -> Result<u32, String> {
    if n == 0 {
        return Err("zero".into());
    }
    let parsed: u32 = "7".parse().map_err(|_| String::new())?;
    Ok(n + parsed)
}

#[work_shared(detach, cache_if = |value| *value > least.len() as u64, ttl = |_| Duration::from_secs(number.into()))]
async fn closures(least: &str, number: u32) -> u64 {
    number.into()
}

fn fresh(name: &str) -> String {
    format!("{name}{}", tick())
}

#[tokio::test]
async fn references() {
    let point = Point { x: 1, y: 2 };
    let numbers = vec![1, 2];
    let call = || borrowed("ab", &[1], &point, Path::new("/"), &numbers);
    let first = call().await;
    assert_eq!((first, first.1), (call().await, 7));
    let call = || by_type("ab", Some(&point), Some(&[1]), None);
    assert_eq!((call(), call().1), (call(), 5));
    let text = fresh("a");
    assert_eq!(named_lifetime(&text, Some("b")).await, text.len() + 1);
    assert_eq!(names_of_something_else(&"a", &mut NotClone(1)), 3);
    assert_eq!(captured_by_a_format("n", 1, 3).await, "n:   1");
    assert_eq!(
        only_in_the_key(&View("x"), 1).await,
        only_in_the_key(&View("x"), 1).await
    );
}

#[tokio::test]
async fn owned_values_and_patterns() {
    let call = Arc::new(|text: &str| text.len());
    assert_eq!(
        owned("t".into(), NotClone(1), &FOR_EVER, "cow".into(), call).await,
        14
    );
    let point = Point { x: 3, y: 0 };
    assert_eq!(patterns((1, 2), 0, 4, point, 5).await.1, 15);
    assert_eq!(patterns_of_a_template((1, "b".into()), 2), (3, "b!".into()));
    assert_eq!(generic([1u8, 2], "abc".to_owned()).await, 7);
    assert_eq!(generic_by_reference(&1u8, &[2]), "1[2]");
}

#[tokio::test]
async fn results_and_closures() {
    assert_eq!(leaves_early(0).await, Err("zero".into()));
    assert_eq!(leaves_early(1).await, Ok(8));
    assert_eq!(closures("abc", 2).await, 2);
}

#[derive(Debug, Clone)]
struct Shop {
    id: u64,
    sharing: WorkSharing,
}

fn shop(id: u64) -> Shop {
    Shop {
        id,
        sharing: WorkSharing::in_memory(),
    }
}

trait Report {
    fn report(&self, year: u32) -> u64;

    #[work_shared(detach, skip(self))]
    fn provided(&self, n: u64) -> u64
    where
        Self: Clone + Send + Sized + 'static,
    {
        self.report(1) + n
    }
}

mod outer {
    pub(super) fn of_module() -> u64 {
        1
    }
}

impl Shop {
    #[work_shared(detach, via = self.sharing, key = "shop:{self.id}:{n}", handle = method_call)]
    async fn method(&self, n: u64) -> (u64, u64) {
        struct Local<'a>(&'a u64);
        impl Local<'_> {
            fn get(&self) -> u64 {
                use self::outer as module;
                let _ = Self::get;
                *self.0 + module::of_module() - 1
            }
        }
        tokio::task::yield_now().await;
        let more = async { self.id }.await;
        (
            tick(),
            self.plus(n) + Local(&more).get() + self::outer::of_module(),
        )
    }

    fn plus(&self, n: u64) -> u64 {
        self.id + n
    }

    #[work_shared(detach, key = "arc:{self.id}", via = self.sharing)]
    async fn by_arc(self: &Arc<Self>) -> usize {
        tokio::task::yield_now().await;
        Arc::strong_count(self)
    }

    #[work_shared(detach, key = "value:{self.id}", via = self.sharing, handle = by_value_call)]
    fn by_value(mut self) -> u64 {
        self.id += 1;
        self.id
    }

    #[work_shared(detach, key = "boxed:{self.id}", via = self.sharing)]
    fn by_box(self: Box<Self>) -> u64 {
        self.id
    }

    #[work_shared(detach, handle = Self::associated_call)]
    fn associated(n: u64) -> (u64, u64) {
        (tick(), n)
    }
}

impl Report for Shop {
    #[work_shared(detach, key = "report:{self.id}:{year}")]
    fn report(&self, year: u32) -> u64 {
        self.id + u64::from(year)
    }
}

#[async_trait]
trait Pages {
    async fn page(&self, path: &str, pair: (u32, u32), log: &NotClone) -> Result<u64, String>;
}

#[async_trait]
impl Pages for Shop {
    #[work_shared(detach, key = "{log.0}:{self.id}:{path}", via = self.sharing)]
    async fn page(
        &self,
        path: &str,
        (a, mut b): (u32, u32),
        log: &NotClone,
    ) -> Result<u64, String> {
        tokio::task::yield_now().await;
        if path.is_empty() {
            return Err(self.id.to_string());
        }
        b += a;
        Ok(self.plus(b.into()) + tick())
    }
}

#[tokio::test]
async fn methods() {
    let shop = shop(5);
    let first = shop.method(1).await;
    assert_eq!(first.1, 12);
    assert_eq!(shop.method_call(1).get().await, first);
    assert_ne!(shop.method_call(1).refresh().await, first);
    assert_eq!(shop.clone().by_value(), 6);
    assert_eq!(shop.clone().by_value_call().get(), 6);
    assert_eq!(Box::new(shop.clone()).by_box(), 5);
    assert_eq!(Shop::associated(3), Shop::associated_call(3).get());
    assert_eq!((shop.report(1), shop.provided(1)), (6, 7));
    let shop = Arc::new(shop);
    assert!(shop.by_arc().await >= 2);
}

#[tokio::test]
async fn under_async_trait() {
    let shop = shop(6);
    let pages: &dyn Pages = &shop;
    let call = |path| pages.page(path, (1, 2), &FOR_EVER);
    assert_eq!(call("a").await, call("a").await);
    assert_eq!(call("").await, Err("6".into()));
}

static WORKS: AtomicU64 = AtomicU64::new(0);

#[work_shared(detach, via = sharing, key = "survives", skip(sharing))]
async fn survives(sharing: &WorkSharing) -> u64 {
    WORKS.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(50)).await;
    42
}

/// Dropped at its first await, it is stored nevertheless.
#[tokio::test]
async fn goes_on_without_its_caller() {
    let sharing = WorkSharing::in_memory();
    {
        let mut future = pin!(survives(&sharing));
        let mut context = Context::from_waker(Waker::noop());
        while WORKS.load(Ordering::Relaxed) == 0 {
            assert!(future.as_mut().poll(&mut context).is_pending());
            tokio::task::yield_now().await;
        }
    }
    let stored = async || sharing.work::<u64>("survives").peek().await;
    let is_stored = async {
        while stored().await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_stored)
        .await
        .expect("it is stored");
    assert_eq!(survives(&sharing).await, 42);
    assert_eq!(WORKS.load(Ordering::Relaxed), 1);
}
