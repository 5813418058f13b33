//! `each` beside each of the other options: what becomes of a list, and of each id in it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use tests::wait_until;
use tokio::sync::Semaphore;
use worksharing::store::Memory;
use worksharing::testing::{Clock as _, ManualClock};
use worksharing::{Builder, WorkSharing, work_shared};

const LIMIT: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);

type Counts = HashMap<u64, u64>;

/// A table of counts that grow with each question, and the ids that it was asked for.
struct Table {
    clock: ManualClock,
    sharing: WorkSharing,
    asked: Mutex<Vec<Vec<u64>>>,
    is_down: AtomicBool,
    /// A body that names an id of 100 or more takes one first.
    gate: Semaphore,
}

impl Table {
    fn new() -> Arc<Self> {
        Self::with(|builder| builder)
    }

    fn with(options: impl FnOnce(Builder) -> Builder) -> Arc<Self> {
        let clock = ManualClock::new();
        let store = Memory::new().with_clock(&clock);
        Arc::new(Self {
            sharing: options(WorkSharing::builder().store(store))
                .build()
                .unwrap(),
            clock,
            asked: Mutex::default(),
            is_down: AtomicBool::new(false),
            gate: Semaphore::new(0),
        })
    }

    fn counts(&self, ids: &[u64]) -> Result<Counts, String> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(ids.to_vec());
        let times = asked.len() as u64;
        if self.is_down.load(SeqCst) {
            return Err(format!("down at {times}"));
        }
        Ok(ids.iter().map(|id| (*id, 1_000 * id + times)).collect())
    }

    async fn pass(&self, ids: &[u64]) {
        if ids.iter().any(|id| *id >= 100) {
            self.gate.acquire().await.unwrap().forget();
        }
    }

    fn has_asked(&self, ids: &[u64]) -> bool {
        self.asked.lock().unwrap().iter().any(|asked| asked == ids)
    }

    fn asked(&self) -> Vec<Vec<u64>> {
        self.asked.lock().unwrap().clone()
    }

    fn stored(&self, key: &str) -> Option<u64> {
        self.sharing.work::<Option<u64>>(key).peek_blocking()?
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "closures:{id}", ttl = |count: &u64| Duration::from_secs(count / 1_000), cache_if = |count| count / 1_000 % 2 == 0)]
    fn closures(&self, ids: &[u64]) -> Counts {
        self.counts(ids).unwrap()
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "version:{id}", version = 2)]
    fn second_version(&self, ids: &[u64]) -> Counts {
        self.counts(ids).unwrap()
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "version:{id}", force_refresh = anew, skip(self, anew))]
    fn first_version(&self, ids: &[u64], anew: bool) -> Counts {
        self.counts(ids).unwrap()
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "stale:{id}", ttl = "60s", stale_while_revalidate = "1h")]
    fn stale(&self, ids: &[u64]) -> Counts {
        self.counts(ids).unwrap()
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "stale:{id}", ttl = "60s", stale_while_revalidate = "1h", detach)]
    async fn stale_detached(self: &Arc<Self>, ids: &[u64]) -> Counts {
        self.pass(ids).await;
        self.counts(ids).unwrap()
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "errors:{id}", ttl = "60s", stale_if_error = "1h", cache_err = "5s")]
    async fn errors(&self, ids: &[u64]) -> Result<Counts, String> {
        self.counts(ids)
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "shared errors:{id}", share_err = |error| format!("{error}, said another"))]
    fn shared_errors(&self, ids: &[u64], until: &(dyn Fn() + Sync)) -> Result<Counts, String> {
        let counts = self.counts(ids);
        until();
        counts
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "early:{id}", ttl = "60s", early_refresh = 1000000000000.0)]
    fn early(&self, ids: &[u64]) -> Counts {
        thread::sleep(Duration::from_millis(1));
        self.counts(ids).unwrap()
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "jitter:{id}", ttl = "60s", jitter = "50%", tags(function), name = "jittered")]
    fn jittered(&self, ids: &[u64]) -> Counts {
        self.counts(ids).unwrap()
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "detached:{id}", detach)]
    async fn detached(self: &Arc<Self>, ids: &[u64]) -> Result<Counts, String> {
        self.pass(ids).await;
        assert!(!ids.contains(&13), "13 is bad luck");
        self.counts(ids)
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "detached:{id}", detach, wait = "50ms", on_timeout = Err("busy".to_owned()))]
    async fn detached_in_time(self: &Arc<Self>, ids: &[u64]) -> Result<Counts, String> {
        self.pass(ids).await;
        self.counts(ids)
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "detached:{id}", wait = "50ms", on_timeout = Err("busy".to_owned()))]
    async fn in_time(&self, ids: &[u64]) -> Result<Counts, String> {
        self.pass(ids).await;
        self.counts(ids)
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "overflow:{id}", wait = wait, on_timeout = "compute", skip(self, wait))]
    async fn overflow(&self, ids: &[u64], wait: Duration) -> Counts {
        self.pass(ids).await;
        self.counts(ids).unwrap()
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "kept:{id}", local = "1h", tags("kept", "kept:{id}"), cache_none)]
    fn kept(&self, ids: &[u64]) -> Counts {
        let mut counts = self.counts(ids).unwrap();
        counts.remove(&9);
        counts
    }
}

#[test]
fn closures_are_asked_of_each_value() {
    let table = Table::new();
    table.closures(&[2, 3, 40]);
    table.closures(&[2, 3, 40]);
    table.clock.advance(Duration::from_secs(2));
    table.closures(&[2, 3, 40]);
    assert_eq!(table.asked(), [vec![2, 3, 40], vec![3], vec![2, 3]]);
}

#[test]
fn each_version_has_values_of_its_own_and_a_refresh_looks_at_none() {
    let table = Table::new();
    for _ in 0..2 {
        table.first_version(&[1, 2], false);
        table.second_version(&[2, 3]);
    }
    assert_eq!(table.asked(), [[1, 2], [2, 3]]);
    let anew = table.first_version(&[1, 2, 4], true);
    assert_eq!(anew, HashMap::from([(1, 1_003), (2, 2_003), (4, 4_003)]));
    assert_eq!(table.first_version(&[4, 2, 1], false), anew);
}

#[test]
fn a_list_with_stale_ids_computes_them_with_the_rest() {
    let table = Table::new();
    table.stale(&[1, 2]);
    table.clock.advance(MINUTE);
    assert_eq!(table.stale(&[1, 2, 3])[&2], 2_002);
    assert_eq!(table.asked(), [vec![1, 2], vec![1, 2, 3]]);
}

#[tokio::test]
async fn detached_it_serves_the_stale_ones_meanwhile() {
    let table = Table::new();
    table.gate.add_permits(1);
    table.stale_detached(&[1, 100]).await;
    table.clock.advance(MINUTE);
    let old = table.stale_detached(&[1, 100]).await;
    assert_eq!(old, HashMap::from([(1, 1_001), (100, 100_001)]));
    // One that is missing is waited for; the stale ones are being computed.
    assert_eq!(table.stale_detached(&[1, 2, 100]).await[&1], 1_001);
    table.gate.add_permits(1);
    while !table.has_asked(&[1, 100]) || table.stored("stale:1") != Some(1_003) {
        tokio::task::yield_now().await;
    }
    assert_eq!(table.asked(), [vec![1, 100], vec![2], vec![1, 100]]);
}

#[tokio::test]
async fn older_values_stand_in_for_errors_which_are_stored() {
    let table = Table::new();
    table.errors(&[1, 2]).await.unwrap();
    table.clock.advance(MINUTE);
    table.is_down.store(true, SeqCst);
    assert_eq!(table.errors(&[1, 2]).await.unwrap()[&2], 2_001);
    // There is none of the one: the error is that of the list, and is stored for that one.
    assert_eq!(table.errors(&[3]).await, Err("down at 3".to_owned()));
    assert_eq!(table.errors(&[2, 3]).await, Err("down at 3".to_owned()));
    table.is_down.store(false, SeqCst);
    table.clock.advance(Duration::from_secs(5));
    assert_eq!(table.errors(&[3]).await, Ok(HashMap::from([(3, 3_004)])));
}

#[test]
fn an_error_is_made_anew_for_who_waited() {
    let table = Table::new();
    table.is_down.store(true, SeqCst);
    let begun = Barrier::new(2);
    thread::scope(|scope| {
        let leader = scope.spawn(|| {
            table.shared_errors(&[1, 2], &|| {
                begun.wait();
                wait_until(LIMIT, "one waits", || table.sharing.stats().waited > 0);
            })
        });
        begun.wait();
        let follower = table.shared_errors(&[2], &|| {});
        assert_eq!(follower, Err("down at 1, said another".to_owned()));
        assert_eq!(leader.join().unwrap(), Err("down at 1".to_owned()));
    });
}

#[test]
fn one_computes_early() {
    let table = Table::new();
    table.early(&[1, 2]);
    // Half of its life is the earliest.
    table.clock.advance(Duration::from_secs(31));
    assert_eq!(table.early(&[2, 1])[&1], 1_002);
    assert_eq!(table.asked(), [[1, 2], [2, 1]]);
}

#[tokio::test]
async fn lives_are_shortened_apart_and_a_function_is_invalidated_whole() {
    let table = Table::new();
    let ids: Vec<u64> = (0..20).collect();
    table.jittered(&ids);
    let mut lives = Vec::new();
    for id in &ids {
        table.clock.advance(Duration::from_millis(1_500));
        lives.push(table.jittered(&[*id])[id] % 1_000 == 1);
    }
    // After 30 s all have been of use, and not all for as long.
    assert!(lives.iter().all(|it| *it), "{lives:?}");
    table.clock.advance(Duration::from_secs(15));
    table.jittered(&ids);
    let anew = table.asked().pop().unwrap();
    assert!(!anew.is_empty() && anew.len() < 20, "{anew:?}");
    table.sharing.invalidate_function("jittered").await.unwrap();
    table.jittered(&ids);
    assert_eq!(table.asked().pop(), Some(ids));
}

#[test]
fn a_list_that_is_kept_asks_no_store() {
    let table = Table::new();
    let first = table.kept(&[1, 2, 9]);
    assert_eq!(first, HashMap::from([(1, 1_001), (2, 2_001)]));
    let looks = table.sharing.stats();
    for _ in 0..3 {
        assert_eq!(table.kept(&[9, 2, 1]), first);
    }
    let stats = table.sharing.stats();
    assert_eq!((stats.local - looks.local, stats.hits), (9, looks.hits));
    table.sharing.invalidate_tag_blocking("kept:2").unwrap();
    assert_eq!(table.kept(&[1, 2, 9])[&2], 2_002);
    table.sharing.invalidate_tag_blocking("kept").unwrap();
    table.kept(&[1, 2, 9]);
    assert_eq!(table.asked(), [vec![1, 2, 9], vec![2], vec![1, 2, 9]]);
}

/// Runs a task to where it waits for its gate.
async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_nothing() {
    let spawned = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&spawned);
    let table = Table::with(|builder| {
        builder.max_detached(1).spawner(move |task| {
            count.fetch_add(1, SeqCst);
            tokio::spawn(task);
        })
    });
    let ids: Vec<u64> = (20..120).collect();
    let caller = tokio::spawn({
        let (table, ids) = (Arc::clone(&table), ids.clone());
        async move { table.detached(&ids).await }
    });
    until(|| spawned.load(SeqCst) == 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    // The task has one place for all of its ids; past the bound another list is its caller's.
    assert_eq!(table.detached(&[0]).await.unwrap().len(), 1);
    assert_eq!(spawned.load(SeqCst), 1);
    table.gate.add_permits(1);
    until(|| table.stored("detached:100").is_some()).await;
    assert_eq!(table.detached(&ids).await.unwrap().len(), 100);
    assert_eq!(table.asked(), [vec![0], ids]);
}

#[tokio::test]
async fn a_panic_in_the_task_is_that_of_its_caller() {
    let table = Table::new();
    let caller = tokio::spawn({
        let table = Arc::clone(&table);
        async move { table.detached(&[12, 13]).await }
    });
    assert!(caller.await.unwrap_err().is_panic());
    assert_eq!(table.detached(&[12]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_has_waited_for_its_own_task_gets_what_was_said() {
    let table = Table::new();
    let busy = Err("busy".to_owned());
    assert_eq!(table.detached_in_time(&[1, 100]).await, busy);
    assert_eq!(table.detached_in_time(&[2, 100]).await, busy);
    // What it computed itself is stored, be it late.
    until(|| table.stored("detached:2").is_some()).await;
    table.gate.add_permits(1);
    until(|| table.stored("detached:1").is_some()).await;
    assert_eq!(table.detached_in_time(&[1, 2, 100]).await.unwrap().len(), 3);
    assert_eq!(table.asked(), [vec![2], vec![1, 100]]);
}

#[tokio::test]
async fn who_has_waited_for_others_gets_it_once_its_own_is_shared() {
    let table = Table::new();
    let other = tokio::spawn({
        let table = Arc::clone(&table);
        async move { table.detached(&[100]).await }
    });
    until(|| table.sharing.stats().computed == 1).await;
    assert_eq!(table.in_time(&[1, 100]).await, Err("busy".to_owned()));
    assert_eq!(table.stored("detached:1"), Some(1_001));
    table.gate.add_permits(1);
    assert_eq!(other.await.unwrap().unwrap()[&100], 100_002);
    assert_eq!(table.in_time(&[1, 100]).await.unwrap().len(), 2);
    assert_eq!(table.asked(), [[1], [100]]);
}

#[tokio::test]
async fn or_computes_the_rest_in_one_more_batch() {
    let table = Table::new();
    let list = |ids: Vec<u64>, wait| {
        let table = Arc::clone(&table);
        tokio::spawn(async move { table.overflow(&ids, wait).await })
    };
    let other = list(vec![100, 101], LIMIT);
    until(|| table.sharing.stats().computed == 2).await;
    let patience = Duration::from_millis(50);
    let both = list(vec![1, 100, 101], patience);
    until(|| table.sharing.stats().computed == 5).await;
    table.gate.add_permits(2);
    assert_eq!(both.await.unwrap().len(), 3);
    assert_eq!(other.await.unwrap().len(), 2);
    assert_eq!(table.asked(), [vec![1], vec![100, 101], vec![100, 101]]);
}
