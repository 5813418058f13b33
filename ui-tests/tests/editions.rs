//! Crates of another edition, a renamed dependency, and re-exports.

use edition_2021::{
    borrowing, borrowing_call, detached, each, facade, keyed, later, later_call, patterns, tick,
};

#[facade::work_shared(crate = facade::hidden)]
fn through_a_facade(n: u32) -> u64 {
    let _ = n;
    tick()
}

#[edition_2021::shared_work::work_shared(crate = edition_2021::shared_work, handle = renamed_call)]
fn renamed(n: u32) -> u64 {
    let _ = n;
    tick()
}

edition_2021::define!(by_a_macro);

#[test]
fn an_older_edition() {
    assert_eq!(keyed(1, "a"), keyed(1, "a"));
    assert_ne!(keyed(1, "a"), keyed(2, "a"));
    let call = || borrowing_call("a", &[1, 2], "c");
    assert_eq!(borrowing("a", &[1, 2], "c"), call().get());
    assert_eq!(call().peek(), Some(call().get()));
}

#[tokio::test]
async fn an_older_edition_async() {
    let call = |a, b: &str, x| patterns((a, b.into()), Box::leak(Box::new([x, 0])));
    assert_eq!(call(1, "b", 2).await, call(1, "b", 2).await);
    assert_ne!(call(1, "b", 2).await, call(1, "c", 2).await);
    let call = |text, b: &str| detached(text, (1, b.into()), &[1]);
    assert_eq!(call("a", "b").await, call("a", "b").await);
    assert_ne!(call("a", "b").await, call("a", "c").await);
    let text = String::from("text");
    assert_eq!(later(&text).await, later_call(&text).get().await);
    assert_eq!(later_call("").get().await, Err(""));
    let spawned = tokio::spawn(async move { later_call(&text).get().await.map_err(str::to_owned) });
    assert_eq!(
        spawned.await.unwrap(),
        later("text").await.map_err(str::to_owned)
    );
    let text = String::from("text");
    let spawned = tokio::spawn(async move { later(&text).await.map_err(str::to_owned) });
    assert!(spawned.await.unwrap().is_ok());
}

#[test]
fn through_other_names() {
    assert_eq!(through_a_facade(1), through_a_facade(1));
    assert_ne!(through_a_facade(1), through_a_facade(2));
    assert_eq!(renamed(1), renamed_call(1).get());
    assert_eq!(by_a_macro(1), by_a_macro(1));
}

#[tokio::test]
async fn many_ids_in_an_older_edition() {
    let first = each(&["a"].into(), String::new()).await.unwrap();
    let both = each(&["a", "b"].into(), String::new()).await.unwrap();
    assert!(both["a"] == first["a"] && both["b"] != first["a"]);
    assert!(each(&["c"].into(), "fails".into()).await.is_err());
}
