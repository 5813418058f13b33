//! The attribute's `each`, within a process: which ids the body is called with, and when.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use tests::wait_until;
use worksharing::{WorkSharing, work_shared};

const LIMIT: Duration = Duration::from_secs(60);

/// A table, and the ids that it was asked for.
struct Table {
    sharing: WorkSharing,
    asked: Mutex<Vec<Vec<u64>>>,
}

impl Table {
    fn new() -> Self {
        Self {
            sharing: WorkSharing::in_memory(),
            asked: Mutex::default(),
        }
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "row:{id}", tags("row:{id}", "rows"))]
    fn rows(&self, ids: &[u64]) -> HashMap<u64, String> {
        self.select(ids)
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "nothing:{id}", cache_none)]
    async fn even(&self, ids: Vec<u64>) -> Result<BTreeMap<u64, String>, String> {
        tokio::task::yield_now().await;
        if ids.contains(&13) {
            return Err("13".into());
        }
        let rows = self.select(&ids).into_iter();
        Ok(rows.filter(|(id, _)| id % 2 == 0).collect())
    }

    #[work_shared(each = id in ids, via = self.sharing, key = "met:{id}")]
    fn met(&self, ids: &[u64], until: &(dyn Fn() + Sync)) -> HashMap<u64, String> {
        let rows = self.select(ids);
        until();
        rows
    }

    fn select(&self, ids: &[u64]) -> HashMap<u64, String> {
        self.asked.lock().unwrap().push(ids.to_vec());
        ids.iter().map(|id| (*id, format!("row {id}"))).collect()
    }

    fn has_asked(&self, ids: &[u64]) -> bool {
        self.asked.lock().unwrap().iter().any(|asked| asked == ids)
    }

    /// What it was asked for since it was asked this.
    fn asked(&self) -> Vec<Vec<u64>> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn rows(ids: &[u64]) -> HashMap<u64, String> {
    ids.iter().map(|id| (*id, format!("row {id}"))).collect()
}

#[test]
fn only_what_nobody_has_is_asked_for() {
    let table = Table::new();
    assert_eq!(table.rows(&[1, 2, 1]), rows(&[1, 2]));
    assert_eq!(table.rows(&[3, 2, 1, 4]), rows(&[1, 2, 3, 4]));
    assert_eq!(table.rows(&[4, 1]), rows(&[1, 4]));
    assert_eq!(table.asked(), [vec![1, 2], vec![3, 4]]);
    assert_eq!(table.sharing.stats().computed, 4);
}

#[test]
fn each_is_invalidated_by_itself_or_by_what_all_have() {
    let table = Table::new();
    table.rows(&[1, 2, 3]);
    table.sharing.invalidate_tag_blocking("row:2").unwrap();
    assert_eq!(table.rows(&[1, 2, 3]), rows(&[1, 2, 3]));
    table
        .sharing
        .work::<()>("row:3")
        .invalidate_blocking()
        .unwrap();
    table.rows(&[1, 2, 3]);
    table.sharing.invalidate_tag_blocking("rows").unwrap();
    table.rows(&[1, 2, 3]);
    assert_eq!(
        table.asked(),
        [vec![1, 2, 3], vec![2], vec![3], vec![1, 2, 3]]
    );
}

#[tokio::test]
async fn what_is_not_there_is_stored_where_that_was_asked() {
    let table = Table::new();
    for _ in 0..2 {
        let even = table.even(vec![1, 2]).await.unwrap();
        assert_eq!(even, BTreeMap::from([(2, "row 2".to_owned())]));
    }
    assert_eq!(table.asked(), [vec![1, 2]]);
}

#[tokio::test]
async fn an_error_is_that_of_all_and_of_none() {
    let table = Table::new();
    table.even(vec![2]).await.unwrap();
    let failed = table.even(vec![2, 4, 13]).await;
    assert_eq!(failed, Err("13".to_owned()));
    assert_eq!(table.even(vec![2, 4]).await.unwrap().len(), 2);
    assert_eq!(table.asked(), [vec![2], vec![4]]);
}

#[test]
fn what_others_compute_is_waited_for_once_ones_own_is_shared() {
    let table = Table::new();
    let gate = Barrier::new(2);
    thread::scope(|scope| {
        let slow = scope.spawn(|| {
            table.met(&[2], &|| {
                gate.wait();
            })
        });
        wait_until(LIMIT, "2 is asked for", || table.has_asked(&[2]));
        let both = scope.spawn(|| table.met(&[1, 2], &|| {}));
        wait_until(LIMIT, "1 is asked for", || table.has_asked(&[1]));
        assert_eq!(table.met(&[1], &|| {}), rows(&[1]));
        assert!(!both.is_finished());
        gate.wait();
        assert_eq!(slow.join().unwrap(), rows(&[2]));
        assert_eq!(both.join().unwrap(), rows(&[1, 2]));
    });
    assert_eq!(table.asked(), [[2], [1]]);
}
