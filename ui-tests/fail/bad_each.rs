#![allow(unused)]

use std::collections::HashMap;

use worksharing::work_shared;

type Map = HashMap<u64, u64>;

#[work_shared(key = "{id}", each)]
fn alone(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(key = "{id}", each(id in ids))]
fn list(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(key = "{id}", each = ids)]
fn no_in(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(key = "{id}", each = id in)]
fn no_ids(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = in ids, key = "{id}")]
fn no_id(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = id of ids, key = "{id}")]
fn of(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = "id in ids", key = "{id}")]
fn quoted(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = id in &ids, key = "{id}")]
fn reference(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = id in ids.iter(), key = "{id}")]
fn expression(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = id in ids and more, key = "{id}")]
fn more(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = 5 in ids, key = "{id}")]
fn literal(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = _ in ids, key = "{id}")]
fn nothing(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = mut id in ids, key = "{id}")]
fn mutable(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = , key = "{id}")]
fn empty(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(each = id in ids, each = id in ids, key = "{id}")]
fn twice(ids: &[u64]) -> Map {
    Map::new()
}

#[work_shared(for_each = "ids", key = "all")]
fn other_name(ids: &[u64]) -> Map {
    Map::new()
}

fn main() {}
