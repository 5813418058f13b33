#![allow(unused)]

use std::collections::HashMap;

use worksharing::work_shared;

type Map = HashMap<u64, u64>;

#[work_shared(each = id in ids)]
fn default_key(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = (shop, id) in ids, skip_all)]
fn default_key_of_nothing(ids: &[(u64, u64)]) -> HashMap<(u64, u64), u64> {
    HashMap::new()
}

#[work_shared(each = id in ids, key = "user")]
fn same_key(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, key = format!("user:{n}"))]
fn same_expression(ids: &[u64], n: u32) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, key = "user:{ids:?}")]
fn all_ids(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, key = "user:{id}", tags("users:{ids:?}"))]
fn tag_of_all_ids(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, key = "user:{id}", skip(ids))]
fn skipped(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, key = "user:{id}", skip())]
fn not_skipped(db: &str, ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, key = "user:{id}", detach)]
fn detached_with_borrowed_ids(ids: &[&str]) -> HashMap<String, u64> {
    HashMap::new()
}

#[work_shared(each = id in ids, key = "user:{id}", detach)]
fn detached_with_changed(log: &mut Vec<u64>, ids: &[u64]) -> Map {
    log.extend(ids);
    Map::new()
}

#[work_shared(each = id in ids, key = "user:{id}", force_refresh = *id == 7)]
fn forced(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, key = "user:{id}", stale_if_error = "1d")]
fn no_result(ids: &[u64]) -> HashMap<u64, u64> {
    Map::new()
}

#[work_shared(each = id in ids, key = "user:{idd}")]
fn misspelt(ids: &[u64]) -> Map {
    Map::new()
}

#[derive(Debug)]
struct Shop(u32);

impl Shop {
    #[work_shared(each = id in ids, key = "user:{id}")]
    fn in_a_format_string(&mut self, ids: &[u64]) -> HashMap<u64, String> {
        ids.iter().map(|id| (*id, format!("{self:?}"))).collect()
    }
}

fn main() {}
