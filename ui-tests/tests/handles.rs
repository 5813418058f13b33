//! `handle`: a call as a value.

use std::sync::Arc;

use ui_tests::tick;
use worksharing::work_shared;

#[work_shared(key = "free:{n}", handle = free_call)]
pub(crate) fn free(n: u32) -> u64 {
    tick()
}

#[work_shared(handle = fallible_call)]
async fn fallible(good: bool, text: &str) -> Result<(u64, usize), String> {
    tokio::task::yield_now().await;
    if good {
        Ok((tick(), text.len()))
    } else {
        Err(text.into())
    }
}

#[work_shared(handle = generic_call)]
fn generic<T: std::fmt::Debug, const N: usize>(
    list: [T; N],
    mut n: u64,
    _: u8,
    (a, _): (u8, u8),
) -> Option<u64> {
    n += N as u64 + u64::from(a);
    drop(list);
    (n > 0).then(tick)
}

#[work_shared(handle = untold_call)]
fn untold<const N: usize>() -> Result<u64, std::io::Error> {
    Ok(tick())
}

#[work_shared(handle = opaque_call, cache_if = |value| *value > 0)]
fn opaque<'a>(text: impl AsRef<str> + std::fmt::Debug + 'a, list: &'a [u8]) -> u64 {
    let _ = (text.as_ref(), list);
    tick() + 1
}

#[derive(Debug)]
struct Shop(u32);

impl Shop {
    #[work_shared(handle = report_call)]
    fn report(&self, year: u32) -> u64 {
        let _ = year;
        tick()
    }

    #[work_shared(handle = sell_call)]
    async fn sell(&mut self, n: u32) -> u64 {
        self.0 += n;
        tick()
    }

    #[work_shared(handle = consumed_call)]
    fn consumed(mut self: Box<Self>) -> u64 {
        self.0 += 1;
        tick()
    }

    #[work_shared(handle = Self::associated_call)]
    fn associated(n: u32) -> u64 {
        let _ = n;
        tick()
    }
}

#[test]
fn a_plain_function() {
    assert_eq!(free_call(1).peek(), None);
    let first = free_call(1).get();
    assert_eq!(free(1), first);
    assert_eq!(free_call(1).peek(), Some(first));
    let entry = free_call(1).entry().unwrap();
    assert_eq!((entry.value, entry.is_fresh), (first, true));
    let call = free_call(1);
    assert_eq!(call.key().characteristic(), "free:1");
    let second = call.refresh();
    assert_ne!(first, second);
    assert_eq!(free(1), second);
    let call = free_call(1);
    call.invalidate().unwrap();
    assert_eq!(call.peek(), None);
    assert_ne!(call.get(), second);
}

#[tokio::test]
async fn an_async_function_that_may_fail() {
    let text = String::from("text");
    assert_eq!(fallible_call(false, &text).get().await, Err("text".into()));
    assert_eq!(fallible_call(true, &text).peek().await, None);
    let first = fallible(true, &text).await.unwrap();
    assert_eq!(fallible_call(true, &text).get().await, Ok(first));
    let peeked: Option<(u64, usize)> = fallible_call(true, &text).peek().await;
    assert_eq!(peeked, Some(first));
    let entry = fallible_call(true, &text).entry().await.unwrap();
    assert_eq!((entry.value, entry.is_fresh), (first, true));
    let second = fallible_call(true, &text).refresh().await.unwrap();
    assert_ne!(first, second);
    let call = fallible_call(true, &text);
    call.invalidate().await.unwrap();
    assert_eq!(call.peek().await, None);
    assert_ne!(call.key(), fallible_call(true, "").key());
}

#[test]
fn generic_functions() {
    let call = || generic_call([1u8, 2], 1, 0, (1, 2));
    assert_eq!(generic([1u8, 2], 1, 0, (1, 2)), call().get());
    assert_eq!(call().peek(), Some(call().get()));
    assert_ne!(call().key(), generic_call([1u16, 2], 1, 0, (1, 2)).key());
    assert_eq!(untold::<1>().ok(), untold_call::<1>().peek());
    assert_eq!(untold_call::<2>().peek(), None);
    assert_eq!(untold_call::<2>().entry(), None);
    assert_eq!(opaque("a", &[1]), opaque_call("a", &[1]).get());
}

#[test]
fn methods() {
    let shop = Shop(1);
    assert_eq!(shop.report(1), shop.report_call(1).get());
    assert_eq!(shop.report_call(2).peek(), None);
    assert_ne!(shop.report(1), Shop(2).report_call(1).get());
    assert_eq!(
        Box::new(Shop(1)).consumed(),
        Box::new(Shop(1)).consumed_call().get()
    );
    assert_eq!(Shop::associated(1), Shop::associated_call(1).get());
}

#[tokio::test]
async fn async_methods() {
    let mut shop = Shop(1);
    let first = shop.sell_call(2).get().await;
    assert_eq!(shop.0, 3);
    assert_eq!(Shop(1).sell(2).await, first);
    let call = shop.sell_call(2);
    assert!(!format!("{call:?}").is_empty());
    drop(call);
    assert_eq!(shop.0, 3);
}

#[tokio::test]
async fn calls_can_be_sent() {
    let text: Arc<str> = "sent".into();
    let spawned = tokio::spawn({
        let text = text.clone();
        async move {
            let call = fallible_call(true, &text);
            let peeked = call.peek().await;
            assert_eq!(call.entry().await, None);
            call.invalidate().await.unwrap();
            (peeked, call.get().await)
        }
    });
    let (peeked, got) = spawned.await.unwrap();
    assert_eq!(peeked, None);
    assert_eq!(got, fallible(true, &text).await);
}

#[work_shared(handle = named_call)]
fn named<T: std::fmt::Debug>(_n: T) -> u64 {
    tick()
}

#[test]
fn a_handle_does_not_change_the_default_key() {
    let key = named_call(1_u8).key();
    let characteristic = key.characteristic();
    assert!(
        characteristic.ends_with("handles::named<u8>(1:1)"),
        "{characteristic}"
    );
}
