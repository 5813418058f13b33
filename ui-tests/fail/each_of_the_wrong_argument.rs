#![allow(unused)]

use std::collections::HashMap;

use worksharing::work_shared;

type Map = HashMap<u64, u64>;

#[work_shared(each = id in id_list, key = "{id}")]
fn unknown(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = id in idx, key = "{id}")]
fn misspelt(ids: &[u64], n: u32) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, key = "{id}")]
fn in_a_pattern((ids, n): (&[u64], u32)) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, key = "{id}")]
fn array(ids: [u64; 2]) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, key = "{id}")]
fn changed(ids: &mut Vec<u64>) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, key = "{id}")]
fn number(ids: u64) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, key = "{id}")]
fn reference_to_a_number(ids: &u64) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, key = "{id}")]
fn range(ids: std::ops::Range<u64>) -> Map {
    ids.map(|id| (id, id)).collect()
}

#[work_shared(each = name in ids, key = "{name}")]
fn same_name(ids: &[u64], name: &str) -> Map {
    Map::new()
}

#[work_shared(each = ids in ids, key = "{ids}")]
fn itself(ids: &[u64]) -> Map {
    Map::new()
}

struct Shop;

impl Shop {
    #[work_shared(each = id in self, key = "{id}")]
    fn of_self(&self) -> Map {
        Map::new()
    }
}

fn main() {}
