//! `each` beside the options that change what becomes of a call: every form of function compiles with them, and does what
//! they say.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use ui_tests::tick;
use worksharing::{WorkSharing, work_shared};

static SHARING: LazyLock<WorkSharing> = LazyLock::new(WorkSharing::in_memory);

fn assert_send<T: Send>(value: T) -> T {
    value
}

fn ticks(ids: impl IntoIterator<Item = u32>) -> HashMap<u32, u64> {
    ids.into_iter().map(|id| (id, tick())).collect()
}

#[derive(Clone)]
struct Shop {
    sharing: WorkSharing,
    factor: u64,
}

impl Shop {
    fn new() -> Self {
        Self {
            sharing: WorkSharing::in_memory(),
            factor: 3,
        }
    }
}

mod detached {
    use super::*;

    #[work_shared(each = id in ids, via = SHARING, key = "detached:{id}", detach)]
    fn plain(ids: &[u32]) -> HashMap<u32, u64> {
        ticks(ids.iter().copied())
    }

    #[work_shared(each = id in ids, via = SHARING, key = "detached text:{prefix}:{id}", detach, cache_if = |text| !text.starts_with(prefix.as_str()) || prefix.is_empty())]
    async fn texts(
        mut prefix: String,
        suffix: Option<&str>,
        mut ids: Vec<String>,
    ) -> Result<BTreeMap<String, String>, String> {
        tokio::task::yield_now().await;
        prefix.push('!');
        ids.sort();
        let text = |id: &String| format!("{prefix}{id}{}{}", suffix.unwrap_or("?"), tick());
        Ok(ids.iter().map(|id| (id.clone(), text(id))).collect())
    }

    impl Shop {
        #[work_shared(each = id in ids, via = self.sharing, key = "method:{id}", detach)]
        async fn method(&self, ids: &HashSet<u32>) -> HashMap<u32, u64> {
            let factor = self.factor;
            tokio::task::yield_now().await;
            ids.iter()
                .map(|id| (*id, u64::from(*id) * factor))
                .collect()
        }

        #[work_shared(each = id in ids, via = self.sharing, key = "arc:{id}", detach)]
        fn arc(self: Arc<Self>, ids: impl IntoIterator<Item = u32>) -> HashMap<u32, u64> {
            let of = |id: u32| u64::from(id) * self.factor;
            ids.into_iter().map(|id| (id, of(id))).collect()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn computes_in_a_task() {
        let first = plain(&[1, 2]);
        let all = plain(&[3, 2, 1]);
        assert_eq!((all[&1], all[&2]), (first[&1], first[&2]));
        let prefix = || "a".to_owned();
        let ids = || vec!["x".to_owned(), "y".to_owned()];
        let one = assert_send(texts(prefix(), Some("s"), ids()))
            .await
            .unwrap();
        let two = texts(prefix(), None, ids()).await.unwrap();
        assert_ne!(one, two);
        assert!(one["x"].starts_with("a!xs") && two["y"].starts_with("a!y?"));
        let shop = Shop::new();
        assert_eq!(
            shop.method(&[1, 2].into()).await,
            HashMap::from([(1, 3), (2, 6)])
        );
        let shop = Arc::new(shop);
        assert_eq!(shop.clone().arc([4, 5]), HashMap::from([(4, 12), (5, 15)]));
        assert_eq!(shop.sharing.stats().computed, 4);
    }
}

mod kept {
    use super::*;

    impl Shop {
        #[work_shared(each = id in ids, via = self.sharing, key = "kept:{id}", local = "5s", tags("shop:{id}", function))]
        async fn kept(&self, ids: &[u32]) -> Result<HashMap<u32, u64>, String> {
            Ok(ticks(ids.iter().copied()))
        }

        #[work_shared(each = id in ids, via = self.sharing, key = format!("kept:{id}"), local = "5s", detach, version = 2)]
        fn kept_detached(&self, ids: &[u32]) -> HashMap<u32, u64> {
            ticks(ids.iter().copied())
        }
    }

    #[tokio::test]
    async fn in_the_process() {
        let shop = Shop::new();
        let first = shop.kept(&[1, 2]).await.unwrap();
        assert_eq!(assert_send(shop.kept(&[1, 2, 1])).await.unwrap(), first);
        assert_eq!(shop.sharing.stats().local, 3);
        shop.sharing.invalidate_tag("shop:1").await.unwrap();
        let second = shop.kept(&[1, 2]).await.unwrap();
        assert_eq!(second[&2], first[&2]);
        assert_ne!(second[&1], first[&1]);
        assert_eq!(shop.sharing.stats().local, 4);
        let first = shop.kept_detached(&[1, 2]);
        assert_eq!(shop.kept_detached(&[2, 1]), first);
        assert_eq!(shop.sharing.stats().local, 6);
    }
}

mod handles {
    use super::*;

    #[work_shared(each = id in ids, via = SHARING, key = "call:{id}", handle = plain_call)]
    fn plain(ids: &[u32]) -> HashMap<u32, u64> {
        ticks(ids.iter().copied())
    }

    #[work_shared(each = (shop, id) in ids, via = SHARING, key = "pairs:{shop}:{id}", handle = pairs_call, local = "1s", detach)]
    async fn pairs<T: Clone + Send + Sync + 'static>(
        _: T,
        names: &str,
        ids: Vec<(u8, u32)>,
    ) -> Result<BTreeMap<(u8, u32), u64>, String> {
        tokio::task::yield_now().await;
        if names.is_empty() {
            return Err("no names".into());
        }
        Ok(ids.into_iter().map(|id| (id, tick())).collect())
    }

    impl Shop {
        #[work_shared(each = id in ids, via = self.sharing, key = "shop:{id}", handle = sold_call, wait = "1s", on_timeout = HashMap::new())]
        async fn sold<'a>(
            &'a self,
            ids: impl IntoIterator<Item = &'a str>,
        ) -> HashMap<String, u64> {
            ids.into_iter()
                .map(|id| (id.to_owned(), tick() * self.factor))
                .collect()
        }
    }

    #[test]
    fn of_plain_functions() {
        let call = plain_call(&[1, 2]);
        assert_eq!(call.keys().len(), 2);
        assert!(call.peek().is_empty());
        let first = call.get();
        assert_eq!(plain(&[1, 2]), first);
        assert_eq!(plain_call(&[1, 2, 3]).peek(), first);
        let second = plain_call(&[1]).refresh();
        assert_ne!(second[&1], first[&1]);
        plain_call(&[2]).invalidate().unwrap();
        assert_eq!(plain_call(&[1, 2]).peek(), second);
    }

    #[tokio::test]
    async fn of_async_ones() {
        let ids = vec![(1, 2), (3, 4)];
        let call = assert_send(pairs_call((), "name", ids.clone()));
        assert_eq!(call.keys()[1].characteristic(), "pairs:3:4");
        let peeked: BTreeMap<(u8, u32), u64> = assert_send(call.peek()).await;
        assert!(peeked.is_empty());
        let first = assert_send(call.get()).await.unwrap();
        assert_eq!(pairs((), "name", ids.clone()).await, Ok(first.clone()));
        let call = pairs_call((), "", ids.clone());
        assert_eq!(call.peek().await, first);
        assert_send(call.invalidate()).await.unwrap();
        assert_eq!(call.get().await, Err("no names".to_owned()));

        let shop = Shop::new();
        let first = assert_send(shop.sold_call(["a", "b"]).get()).await;
        assert_eq!(shop.sold(["b", "a"]).await, first);
        assert_ne!(
            assert_send(shop.sold_call(["a", "b"]).refresh()).await,
            first
        );
    }
}
