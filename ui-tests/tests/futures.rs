//! Futures of annotated functions: `Send` when the body is, no bounds added, and small.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use ui_tests::tick;
use worksharing::{WorkSharing, work_shared};

fn assert_send<T: Send>(value: T) -> T {
    value
}

#[derive(Debug)]
struct Shop {
    id: u32,
}

#[work_shared]
async fn free(text: &str, shop: &Shop) -> Result<u64, String> {
    tokio::task::yield_now().await;
    Ok(tick() + text.len() as u64 + u64::from(shop.id))
}

/// `Send`, and not `Sync`.
#[work_shared(cache_if = |cell| cell.get() > 0, ttl = |_: &Cell<u64>| std::time::Duration::from_secs(9))]
async fn cell(n: u64) -> Cell<u64> {
    tokio::task::yield_now().await;
    Cell::new(n + tick())
}

#[work_shared(via = sharing, skip(sharing, local))]
async fn local(sharing: &WorkSharing, local: Rc<u64>) -> Result<u64, Rc<str>> {
    tokio::task::yield_now().await;
    Ok(tick() + *local)
}

#[work_shared(skip_all)]
async fn generic<T, F>(work: F) -> Option<u64>
where
    F: AsyncFnOnce() -> T,
    T: Into<u64>,
{
    Some(work().await.into())
}

impl Shop {
    #[work_shared]
    async fn method(&mut self, numbers: &[u64]) -> u64 {
        tokio::task::yield_now().await;
        self.id += 1;
        tick() + numbers.iter().sum::<u64>()
    }
}

#[tokio::test]
async fn are_send() {
    let mut shop = Shop { id: 1 };
    let first = assert_send(free("a", &shop)).await;
    assert_eq!(first, assert_send(free("a", &shop)).await);
    assert!(assert_send(shop.method(&[1])).await > 0);
    assert!(assert_send(cell(1)).await.get() > 0);
    assert_eq!(assert_send(generic(async || 5u32)).await, Some(5));
}

#[tokio::test]
async fn can_be_spawned_with_borrowed_arguments() {
    let tasks = [1, 1].map(|id| {
        tokio::spawn(async move {
            let (text, shop) = (String::from("spawned"), Shop { id });
            free(&text, &shop).await
        })
    });
    let [one, two] = tasks;
    assert_eq!(one.await.unwrap(), two.await.unwrap());
}

#[tokio::test]
async fn need_no_send() {
    let sharing = WorkSharing::in_memory();
    let first = local(&sharing, Rc::new(1)).await;
    assert_eq!(first, local(&sharing, Rc::new(2)).await);
}

#[work_shared]
async fn fibonacci(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    Box::pin(fibonacci(n - 1)).await + Box::pin(fibonacci(n - 2)).await
}

#[tokio::test]
async fn can_be_recursive() {
    assert_eq!(fibonacci(60).await, 1_548_008_755_920);
}

#[work_shared(key = "small:{n}")]
async fn small(n: u64) -> u64 {
    tokio::task::yield_now().await;
    n
}

#[work_shared(key = "large:{n}")]
async fn large(n: u64) -> u64 {
    let buffer = [n; 512];
    tokio::task::yield_now().await;
    buffer[0]
}

#[work_shared(key = "detached:{n}", detach)]
async fn detached(n: u64) -> u64 {
    let buffer = [n; 512];
    tokio::task::yield_now().await;
    buffer[0]
}

#[work_shared(
    key = "detached, with a limit:{n}",
    detach,
    wait = "1s",
    on_timeout = 0
)]
async fn detached_with_limit(n: u64) -> u64 {
    tokio::task::yield_now().await;
    n
}

#[work_shared(each = id in ids, key = "list:{id}")]
async fn list(ids: &[u64]) -> HashMap<u64, u64> {
    tokio::task::yield_now().await;
    ids.iter().map(|id| (*id, *id)).collect()
}

#[work_shared(each = id in ids, key = "detached list:{id}", detach)]
async fn detached_list(ids: &[u64]) -> Result<HashMap<u64, u64>, String> {
    let buffer = [ids[0]; 512];
    tokio::task::yield_now().await;
    Ok(ids.iter().map(|id| (*id, buffer[0])).collect())
}

/// The body is the task's, and its caller keeps only what it waits with: `Send`, and not `'static`.
#[test]
fn of_detached_computations_are_small() {
    let sizes = [
        size_of_val(&assert_send(detached(1))),
        size_of_val(&detached_with_limit(1)),
    ];
    println!(
        "of a detached computation: {} bytes; with a limit: {} bytes",
        sizes[0], sizes[1]
    );
    assert!(sizes.iter().all(|size| *size <= 1024), "{sizes:?}");
    let lists = [
        size_of_val(&assert_send(list(&[1]))),
        size_of_val(&assert_send(detached_list(&[1]))),
    ];
    println!(
        "of a list: {} bytes; detached: {} bytes",
        lists[0], lists[1]
    );
    assert!(lists.iter().all(|size| *size <= 1024), "{lists:?}");
}

#[work_shared(detach)]
async fn detached_by_reference(text: &str, shop: &Sold) -> u64 {
    tokio::task::yield_now().await;
    text.len() as u64 + shop.0
}

#[derive(Debug, Clone)]
struct Sold(u64);

#[tokio::test]
async fn of_detached_computations_need_no_static() {
    let (text, shop) = (String::from("local"), Sold(1));
    assert_eq!(assert_send(detached_by_reference(&text, &shop)).await, 6);
}

/// The body's own future is held once, whatever the layers around it.
#[test]
fn are_small() {
    let (small, large) = (size_of_val(&small(1)), size_of_val(&large(1)));
    println!("a small body: {small} bytes; with 4096 bytes of its own: {large} bytes");
    assert!(small <= 1024, "{small} bytes");
    assert!(large - small < 4096 + 256, "{large} bytes");
}
