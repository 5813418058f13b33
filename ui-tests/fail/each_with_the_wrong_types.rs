#![allow(unused)]

use std::collections::{BTreeMap, HashMap};

use worksharing::work_shared;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Id(u64);

#[work_shared(each = id in ids, key = "user:{id}")]
fn without_display(ids: &[Id]) -> HashMap<Id, u64> {
    HashMap::new()
}

#[work_shared(each = id in ids, key = "user:{id}")]
fn no_map(ids: &[u64]) -> Vec<u64> {
    Vec::new()
}

#[work_shared(each = id in ids, key = "user:{id}")]
async fn no_map_in_a_result(ids: &[u64]) -> Result<u64, String> {
    Ok(1)
}

#[work_shared(each = id in ids, key = "user:{id}")]
fn other_keys(ids: &[u64]) -> HashMap<String, u64> {
    HashMap::new()
}

#[work_shared(each = id in ids, key = "user:{id}")]
async fn other_keys_in_a_result(ids: &[u64]) -> Result<BTreeMap<u32, u64>, String> {
    Ok(BTreeMap::new())
}

struct Row;

#[work_shared(each = id in ids, key = "user:{id}")]
fn not_serializable(ids: &[u64]) -> HashMap<u64, Row> {
    HashMap::new()
}

#[work_shared(each = id in ids, key = "user:{id}")]
fn borrowed_values<'a>(ids: &[u64], text: &'a str) -> HashMap<u64, &'a str> {
    HashMap::new()
}

struct Connection;

#[work_shared(each = id in ids, key = "user:{id}")]
async fn not_clone(db: Connection, ids: Vec<u64>) -> HashMap<u64, u64> {
    drop(db);
    HashMap::new()
}

#[work_shared(each = id in ids, key = "user:{id}")]
fn other_body(ids: &[u64]) -> HashMap<u64, u64> {
    ids.len()
}

#[work_shared(each = id in ids, key = "user:{id}", cache_if = |value: &str| true)]
fn closure(ids: &[u64]) -> HashMap<u64, u64> {
    HashMap::new()
}

#[work_shared(each = Some(id) in ids, key = "user:{id}")]
fn refutable(ids: &[Option<u64>]) -> HashMap<Option<u64>, u64> {
    HashMap::new()
}

fn main() {}
