//! `tags`: on functions of every kind, beside the other options.

use std::fmt::Display;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use ui_tests::tick;
use worksharing::store::Memory;
use worksharing::{WorkSharing, work_shared};

static SHARING: LazyLock<WorkSharing> = LazyLock::new(WorkSharing::in_memory);

#[expect(clippy::unwrap_used, reason = "a test")]
fn invalidate(tag: &str) {
    SHARING.invalidate_tag_blocking(tag).unwrap();
}

/// Whether a tag makes a miss of what this call has stored, and other tags do not.
#[track_caller]
fn assert_tagged(tags: &[&str], call: impl Fn() -> u64) {
    let mut last = call();
    invalidate("another");
    assert_eq!(call(), last);
    for tag in tags {
        invalidate(tag);
        let next = call();
        assert_ne!(next, last, "{tag}");
        assert_eq!(call(), next, "{tag}");
        last = next;
    }
}

#[test]
fn templates_are_those_of_keys() {
    struct User {
        id: u32,
    }
    impl User {
        fn upper(&self, text: &str) -> String {
            text.to_uppercase()
        }

        #[work_shared(
            via = SHARING,
            key = "{self.id}:{text}",
            tags("user:{self.id:03}", "{self.upper(text)}", r#"{0:?} {{🦀}}"#),
        )]
        fn method(&self, text: &str) -> u64 {
            tick()
        }
    }
    let user = User { id: 7 };
    assert_tagged(&["user:007", "A", "\"a\" {🦀}"], || user.method("a"));
}

#[test]
fn beside_a_default_key_of_patterns() {
    #[work_shared(via = SHARING, skip(text), tags("pair:{a}", "{text}", "{0}"))]
    fn pair(first: u8, (a, _): (String, u8), text: impl Display, mut last: Vec<u8>) -> u64 {
        last.push(first);
        drop((a, text));
        tick()
    }
    assert_tagged(&["pair:x", "text", "5"], || {
        pair(5, ("x".into(), 1), "text", vec![])
    });
}

#[test]
fn tags_given_by_a_macro() {
    macro_rules! tagged {
        ($name:ident, $argument:ident, $tag:literal) => {
            #[work_shared(via = SHARING, key = $tag, tags($tag, "by macro:{n}", function))]
            fn $name($argument: u32, n: u32) -> u64 {
                tick()
            }
        };
    }
    tagged!(by_macro, year, "of a macro:{year}");
    assert_tagged(&["of a macro:2024", "by macro:1"], || by_macro(2024, 1));
}

#[test]
fn beside_all_other_options() {
    #[work_shared(
        via = SHARING,
        key = "all:{n}",
        tags("all", function),
        skip(),
        ttl = |_| Duration::from_secs(60),
        stale_while_revalidate = "10m",
        stale_if_error = "1d",
        early_refresh,
        jitter = "10%",
        wait = "20s",
        on_timeout = Err(0),
        cache_if = |value| *value > 0,
        cache_none,
        cache_err = "5s",
        version = 2,
        name = "everything",
        handle = all_call,
    )]
    fn all(n: u32) -> Result<Option<u64>, u64> {
        match n {
            0 => Err(tick()),
            _ => Ok(Some(1 + tick())),
        }
    }
    assert_tagged(&["all"], || all(0).unwrap_err());
    assert_tagged(&["all"], || all(1).unwrap().unwrap());
    let stored = all(1).unwrap();
    assert_eq!(all_call(1).peek(), Some(stored));
    SHARING.invalidate_function_blocking("everything").unwrap();
    assert_eq!(all_call(1).peek(), None);
    assert_ne!(all(1).unwrap(), stored);
}

#[tokio::test]
async fn every_method_of_a_handle_looks_at_them() {
    #[work_shared(via = SHARING, key = "handle:{n}", tags("handle:{n}"), detach, handle = call)]
    async fn work(n: u32) -> u64 {
        tick()
    }
    let first = work(1).await;
    assert_eq!(call(1).peek().await, Some(first));
    SHARING.invalidate_tag("handle:1").await.unwrap();
    assert_eq!(call(1).peek().await, None);
    assert!(call(1).entry().await.is_none());
    let second = call(1).get().await;
    assert_ne!(second, first);
    let third = call(1).refresh().await;
    assert_ne!(third, second);
    assert_eq!(call(1).entry().await.unwrap().value, third);
    call(1).invalidate().await.unwrap();
    assert_eq!(call(1).peek().await, None);
    assert_ne!(work(1).await, third);
}

#[async_trait]
trait Pages {
    async fn page(&self, path: &str) -> u64;

    #[work_shared(via = SHARING, key = "provided:{n}", tags(function))]
    async fn provided(&self, n: u32) -> u64 {
        tick()
    }
}

#[derive(Clone)]
struct Site(u32);

#[async_trait]
impl Pages for Site {
    #[work_shared(via = SHARING, key = "{self.0}:{path}", tags("site:{self.0}", function), detach)]
    async fn page(&self, path: &str) -> u64 {
        tokio::task::yield_now().await;
        tick()
    }
}

#[tokio::test]
async fn methods_of_traits_have_the_name_of_their_module_and_their_own() {
    let sites = [Site(1), Site(2)];
    let pages = async || [sites[0].page("a").await, sites[1].page("a").await];
    let first = pages().await;
    assert_eq!(pages().await, first);
    SHARING.invalidate_tag("site:1").await.unwrap();
    let second = pages().await;
    assert!(second[0] != first[0] && second[1] == first[1]);
    let provided = sites[0].provided(1).await;

    SHARING.invalidate_function("tags::page").await.unwrap();
    let third = pages().await;
    assert!(third[0] != second[0] && third[1] != second[1]);
    assert_eq!(sites[0].provided(1).await, provided);
    SHARING.invalidate_function("tags::provided").await.unwrap();
    assert_ne!(sites[0].provided(1).await, provided);
}

mod nested {
    use super::*;

    #[work_shared(via = SHARING, tags(function))]
    pub(super) fn generic<T: std::fmt::Debug>(value: T) -> u64 {
        tick()
    }

    #[work_shared(via = SHARING, key = "other:{value}", tags("generic", "tags::nested::generic"))]
    pub(super) fn other(value: u8) -> u64 {
        tick()
    }
}

#[test]
fn function_is_dropped_with_all_its_types_and_nothing_else() {
    let generic = || (nested::generic(1u8), nested::generic("a"));
    let (first, other) = (generic(), nested::other(1));
    assert_eq!(generic(), first);
    SHARING
        .invalidate_function_blocking("tags::nested::generic")
        .unwrap();
    let second = generic();
    assert!(second.0 != first.0 && second.1 != first.1);
    assert_eq!(nested::other(1), other, "a tag of that text is no function");
    invalidate("tags::nested::generic");
    assert_eq!(generic(), second);
    assert_ne!(nested::other(1), other);
}

#[test]
fn function_of_another_namespace_stays() {
    #[work_shared(via = sharing, key = "same", tags(function), name = "same")]
    fn same(sharing: &WorkSharing) -> u64 {
        tick()
    }
    let store = Arc::new(Memory::new());
    let [shop, bank] = ["shop", "bank"].map(|namespace| {
        let builder = WorkSharing::builder().store(Arc::clone(&store));
        builder.namespace(namespace).build().unwrap()
    });
    let (of_shop, of_bank) = (same(&shop), same(&bank));
    shop.invalidate_function_blocking("same").unwrap();
    assert_eq!(same(&bank), of_bank);
    assert_ne!(same(&shop), of_shop);
}
