//! `each`: every form of ids, of arguments and of functions.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use ui_tests::tick;
use worksharing::{ByKey, WorkSharing, work_shared};

static SHARING: LazyLock<WorkSharing> = LazyLock::new(WorkSharing::in_memory);

fn assert_send<T: Send>(value: T) -> T {
    value
}

/// Whether what was computed is found again, and only the rest is computed.
#[track_caller]
fn assert_each<K: Eq + Hash + Copy>(first: &HashMap<K, u64>, all: &HashMap<K, u64>, ids: usize) {
    assert!(!first.is_empty() && all.len() == ids);
    for (id, value) in first {
        assert_eq!(all.get(id), Some(value));
    }
}

mod forms {
    use super::*;

    #[work_shared(each = id in ids, via = SHARING, key = "slice:{id}")]
    fn slice(ids: &[u32]) -> HashMap<u32, u64> {
        ids.iter().map(|id| (*id, tick())).collect()
    }

    #[work_shared(each = id in ids, via = SHARING, key = "vec:{id}")]
    fn vec(mut ids: Vec<u32>) -> HashMap<u32, u64> {
        ids.push(99);
        ids.into_iter().map(|id| (id, tick())).collect()
    }

    #[work_shared(each = id in ids, via = SHARING, key = "vec_ref:{id}")]
    fn vec_ref(ids: &Vec<u32>) -> HashMap<u32, u64> {
        let ids: &Vec<u32> = ids;
        ids.iter().map(|id| (*id, tick())).collect()
    }

    #[work_shared(each = id in ids, via = SHARING, key = "set:{id}")]
    fn set(ids: HashSet<u32>) -> HashMap<u32, u64> {
        ids.into_iter().map(|id| (id, tick())).collect()
    }

    #[work_shared(each = id in ids, via = SHARING, key = "set_ref:{id}")]
    fn set_ref(ids: &BTreeSet<u32>) -> HashMap<u32, u64> {
        let last = ids.last().copied();
        last.into_iter()
            .chain(ids.iter().copied())
            .map(|id| (id, tick()))
            .collect()
    }

    #[work_shared(each = id in ids, via = SHARING, key = "iterator:{id}")]
    fn iterator(ids: impl IntoIterator<Item = u32>) -> HashMap<u32, u64> {
        ids.into_iter().map(|id| (id, tick())).collect()
    }

    #[work_shared(each = id in ids, via = SHARING, key = "parameter:{id}")]
    fn parameter<K, I>(ids: I) -> HashMap<K, u64>
    where
        I: IntoIterator<Item = K>,
        K: Display + Clone + Eq + Hash,
    {
        ids.into_iter().map(|id| (id, tick())).collect()
    }

    #[work_shared(each = id in ids, via = SHARING, key = "texts:{id}")]
    fn texts(ids: &[&str]) -> HashMap<String, u64> {
        ids.iter().map(|id| ((*id).to_owned(), tick())).collect()
    }

    #[work_shared(each = id in ids, via = SHARING, key = "borrowed:{id}")]
    fn borrowed<'a>(ids: &[&'a str]) -> BTreeMap<&'a str, u64> {
        ids.iter().map(|id| (*id, tick())).collect()
    }

    #[work_shared(each = id in ids, via = SHARING, key = "set of texts:{id}")]
    fn set_of_texts(ids: &HashSet<&str>) -> HashMap<String, u64> {
        ids.iter().map(|id| ((*id).to_owned(), tick())).collect()
    }

    #[test]
    fn of_ids() {
        assert_each(&slice(&[1, 2]), &slice(&[2, 3, 1, 2]), 3);
        assert_each(&vec(vec![1, 2]), &vec(vec![2, 3, 1]), 3);
        assert_each(&vec_ref(&vec![1, 2]), &vec_ref(&vec![3, 1, 2]), 3);
        assert_each(&set([1, 2].into()), &set([1, 2, 3].into()), 3);
        assert_each(&set_ref(&[1, 2].into()), &set_ref(&[1, 2, 3].into()), 3);
        assert_each(&iterator([1, 2]), &iterator(1..=3), 3);
        assert_each(&parameter([1u8, 2]), &parameter(1..=3), 3);
        assert!(slice(&[]).is_empty());
    }

    #[test]
    fn of_texts() {
        assert_eq!(texts(&["a", "b"])["a"], texts(&["c", "a"])["a"]);
        assert_eq!(borrowed(&["a", "b"])["a"], borrowed(&["c", "a"])["a"]);
        let [one, two] = [["a", "b"], ["c", "a"]].map(HashSet::from);
        assert_eq!(set_of_texts(&one)["a"], set_of_texts(&two)["a"]);
    }
}

mod arguments {
    use super::*;

    struct Log(Vec<u32>);

    #[work_shared(each = id in ids, via = SHARING, key = "changed:{id}")]
    async fn changed(log: &mut Log, ids: &[u32], mut suffix: String) -> HashMap<u32, String> {
        tokio::task::yield_now().await;
        log.0.extend(ids);
        suffix.push('!');
        ids.iter()
            .map(|id| (*id, format!("{id}{suffix}")))
            .collect()
    }

    #[tokio::test]
    async fn are_lent_anew() {
        let mut log = Log(vec![]);
        let first = assert_send(changed(&mut log, &[1, 2], "a".into())).await;
        let all = assert_send(changed(&mut log, &[1, 2, 3], "b".into())).await;
        assert_eq!((&*first[&1], &*all[&1], &*all[&3]), ("1a!", "1a!", "3b!"));
        assert_eq!(log.0, [1, 2, 3]);
    }

    type Alias<'a> = Option<&'a Log>;

    #[work_shared(each = id in ids, via = SHARING, key = "{0}:{id}", tags("{id}", function), skip(a, b, log, alias, changed, shared))]
    fn all(
        first: u8,
        (a, b): (String, Arc<str>),
        log: &Log,
        alias: Alias<'_>,
        changed: &mut Log,
        mut ids: &[u32],
        mut shared: &Log,
    ) -> BTreeMap<u32, usize> {
        changed.0.push(1);
        shared = alias.unwrap_or(shared);
        drop((a, b));
        let mut lengths = BTreeMap::new();
        while let [id, rest @ ..] = ids {
            lengths.insert(*id, shared.0.len() + log.0.len());
            ids = rest;
        }
        lengths
    }

    #[test]
    fn of_every_kind() {
        let (log, mut changed) = (Log(vec![1]), Log(vec![]));
        let pair = || ("a".to_owned(), "b".into());
        let expected = BTreeMap::from([(1, 2), (2, 2)]);
        assert_eq!(
            all(1, pair(), &log, Some(&log), &mut changed, &[1, 2], &log),
            expected
        );
        assert_eq!(
            all(1, pair(), &log, None, &mut changed, &[2, 1], &log),
            expected
        );
        assert_eq!(changed.0.len(), 1);
    }
}

mod results {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Failed<'a>(&'a str);

    #[work_shared(
        each = id in ids, via = SHARING, key = "result:{id}", ttl = |value| Duration::from_secs(*value + 1),
        cache_if = |value: &u64| *value != limit, cache_none, wait = "20s", on_timeout = "compute", jitter = "10%",
        stale_while_revalidate = "1m", early_refresh, version = 2, name = "results", force_refresh = limit > 1000,
    )]
    async fn borrowing<'a>(
        text: &'a str,
        ids: &[&str],
        limit: u64,
    ) -> Result<HashMap<String, u64>, Failed<'a>> {
        tokio::task::yield_now().await;
        if text == "fails" {
            return Err(Failed(text));
        }
        Ok(ids
            .iter()
            .filter(|id| **id != "missing")
            .map(|id| ((*id).to_owned(), tick() + 100))
            .collect())
    }

    #[tokio::test]
    async fn may_borrow() {
        let failed = assert_send(borrowing("fails", &["a"], 1)).await;
        assert_eq!(failed, Err(Failed("fails")));
        let first = borrowing("", &["a", "missing"], 1).await.unwrap();
        assert_eq!(first.len(), 1);
        let next = borrowing("", &["b", "a"], 1).await.unwrap();
        assert_eq!(next["a"], first["a"]);
    }

    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
    struct Lost;

    #[work_shared(each = id in ids, via = SHARING, key = "errors:{id}", cache_err = "5s", stale_if_error = "1m", share_err = |_| Lost)]
    fn errors(ids: Vec<u32>) -> Result<HashMap<u32, u64>, Lost> {
        Err(Lost)
    }

    #[work_shared(each = (shop, id) in ids, via = SHARING, key = format!("pair:{shop}:{}", id))]
    fn pairs(ids: &[(u8, u32)]) -> anyhow::Result<BTreeMap<(u8, u32), u64>> {
        Ok(ids.iter().map(|id| (*id, tick())).collect())
    }

    #[test]
    fn of_patterns_and_expressions() {
        assert!(errors(vec![1]).is_err());
        let first = pairs(&[(1, 1), (1, 2)]).unwrap();
        assert_eq!(pairs(&[(2, 1), (1, 2)]).unwrap()[&(1, 2)], first[&(1, 2)]);
    }

    /// A map of one's own.
    struct Pairs(Vec<(u32, u64)>);

    impl FromIterator<(u32, u64)> for Pairs {
        fn from_iter<I: IntoIterator<Item = (u32, u64)>>(pairs: I) -> Self {
            Self(pairs.into_iter().collect())
        }
    }

    impl ByKey for Pairs {
        type Key = u32;
        type Value = u64;

        fn take(&mut self, key: &u32) -> Option<u64> {
            let place = self.0.iter().position(|(id, _)| id == key)?;
            Some(self.0.swap_remove(place).1)
        }

        fn left(&self) -> usize {
            self.0.len()
        }
    }

    #[work_shared(each = id in ids, via = SHARING, key = "own:{id}")]
    fn own_map(ids: &[u32]) -> Pairs {
        Pairs(ids.iter().map(|id| (*id, tick())).collect())
    }

    #[test]
    fn of_a_map_of_ones_own() {
        let first = own_map(&[1]);
        assert_eq!(own_map(&[1]).0, first.0);
    }
}

mod methods {
    use super::*;

    #[derive(Clone)]
    struct Shop {
        name: &'static str,
        calls: u32,
    }

    impl Shop {
        #[work_shared(each = id in ids, via = SHARING, key = "shared:{self.name}:{id}")]
        async fn shared(&self, ids: &[u32]) -> HashMap<u32, String> {
            tokio::task::yield_now().await;
            ids.iter()
                .map(|id| (*id, format!("{} {id}", self.name)))
                .collect()
        }

        #[work_shared(each = id in ids, via = SHARING, key = "changing:{self.name}:{id}")]
        async fn changing(&mut self, ids: &[u32]) -> HashMap<u32, u32> {
            tokio::task::yield_now().await;
            self.calls += 1;
            ids.iter().map(|id| (*id, self.calls)).collect()
        }

        #[work_shared(each = id in ids, via = SHARING, key = "owned:{self.name}:{id}")]
        fn owned(mut self, ids: &[u32]) -> HashMap<u32, u32> {
            self.calls += 1;
            ids.iter().map(|id| (*id, self.calls)).collect()
        }

        #[work_shared(each = id in ids, via = SHARING, key = "arc:{self.name}:{id}")]
        fn arc(self: Arc<Self>, ids: &[u32]) -> HashMap<u32, u32> {
            ids.iter().map(|id| (*id, self.calls)).collect()
        }
    }

    #[tokio::test]
    async fn have_self() {
        let mut shop = Shop {
            name: "a",
            calls: 0,
        };
        assert_eq!(assert_send(shop.shared(&[1])).await[&1], "a 1");
        assert_eq!(assert_send(shop.changing(&[1])).await[&1], 1);
        assert_eq!(
            shop.changing(&[1, 2]).await,
            HashMap::from([(1, 1), (2, 2)])
        );
        assert_eq!(shop.calls, 2);
        assert_eq!(shop.clone().owned(&[1]), HashMap::from([(1, 3)]));
        assert_eq!(Arc::new(shop).arc(&[1]), HashMap::from([(1, 2)]));
    }

    #[async_trait]
    trait Users {
        async fn users(
            &mut self,
            db: &mut String,
            suffix: String,
            ids: &[u32],
        ) -> HashMap<u32, String>;

        #[work_shared(each = id in ids, via = SHARING, key = "provided:{id}")]
        async fn provided(&self, mut ids: Vec<u32>, (a, _): (u32, u32)) -> HashMap<u32, u64> {
            ids.push(a);
            ids.into_iter().map(|id| (id, tick())).collect()
        }
    }

    #[async_trait]
    impl Users for Shop {
        #[work_shared(each = id in ids, via = SHARING, key = "trait:{self.name}:{id}")]
        async fn users(
            &mut self,
            db: &mut String,
            suffix: String,
            ids: &[u32],
        ) -> HashMap<u32, String> {
            self.calls += 1;
            db.push_str(&suffix);
            tokio::task::yield_now().await;
            ids.iter()
                .map(|id| (*id, format!("{id}{suffix}")))
                .collect()
        }
    }

    #[tokio::test]
    async fn of_async_traits() {
        let mut shop = Shop {
            name: "trait",
            calls: 0,
        };
        let mut db = String::new();
        assert_eq!(shop.users(&mut db, "a".into(), &[1]).await[&1], "1a");
        assert_eq!(shop.users(&mut db, "b".into(), &[1, 2]).await[&2], "2b");
        assert_eq!((&*db, shop.calls), ("ab", 2));
        let first = shop.provided(vec![1], (1, 2)).await;
        assert_eq!(shop.provided(vec![2, 1], (1, 2)).await[&1], first[&1]);
    }
}

#[test]
fn by_a_macro() {
    macro_rules! each {
        ($name:ident, $id:ident, $ids:ident, $key:literal) => {
            #[work_shared(each = $id in $ids, via = SHARING, key = $key)]
            fn $name($ids: &[u32]) -> HashMap<u32, u64> {
                $ids.iter().map(|id| (*id, tick())).collect()
            }
        };
    }
    each!(by_macro, user, users, "by macro:{user}");
    assert_each(&by_macro(&[1]), &by_macro(&[1, 2]), 2);
}
