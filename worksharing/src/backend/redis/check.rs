//! Whether a server can keep values: asked by doing it.

use std::hash::{BuildHasher as _, RandomState};
use std::slice;
use std::time::Duration;

use super::commands::{Answer, Ask};
use super::refusal::{CLUSTER, REPLICA, refusal};
use super::store::Redis;
use crate::store::{Fence, Look, Seen, Store as _, Stored};
use crate::{Error, ErrorKind, Key};
use bytes::Bytes;

/// Then nothing is left of the check, even if it ends half-way.
const TTL: Duration = Duration::from_secs(5);

/// Does all that a call does, under a key of its own, and says what was met.
pub(super) async fn check(store: &Redis) -> Result<(), Error> {
    let info = info(store).await?.unwrap_or_default();
    if let Some(what) = is_unsuitable(&info) {
        return Err(unsuitable(store, what));
    }
    check_with(store, &info, |_| true).await
}

/// The same of a primary of a cluster, under a key that it has.
#[cfg(feature = "cluster")]
pub(super) async fn of_a_node(store: &Redis, has: impl Fn(&Key) -> bool) -> Result<(), Error> {
    let info = info(store).await?.unwrap_or_default();
    check_with(store, &info, has).await
}

/// Why the map of a cluster cannot be read.
#[cfg(feature = "cluster")]
pub(super) fn of_a_cluster(error: Error) -> Error {
    let detail = refusal(&error).and_then(|refusal| refusal.detail());
    if !detail.is_some_and(|detail| detail.contains("cluster support disabled")) {
        return error;
    }
    Error::new(
        ErrorKind::Unsuitable,
        "the Redis Cluster's URL names a server that is no node of a cluster: write redis://host:port",
    )
    .caused_by(error)
}

async fn check_with(store: &Redis, info: &[u8], has: impl Fn(&Key) -> bool) -> Result<(), Error> {
    if !keeps_values(store, has).await? {
        return Err(unsuitable(
            store,
            "does not keep what is stored there: write the URL of a server that keeps values until their time to \
             live ends",
        ));
    }
    warn_of(&store.address().name, info);
    Ok(())
}

fn unsuitable(store: &Redis, what: &str) -> Error {
    let name = &store.address().name;
    Error::new(ErrorKind::Unsuitable, format!("{name} {what}"))
}

/// What it says of itself, unless it does not tell.
async fn info(store: &Redis) -> Result<Option<Bytes>, Error> {
    match store.answer(Ask::Info, true).await {
        Ok(Answer::Info(info)) => Ok(Some(info)),
        Err(error) if refusal(&error).is_none() => Err(error),
        _ => Ok(None),
    }
}

/// What is wrong with one that says this of itself.
fn is_unsuitable(info: &[u8]) -> Option<&'static str> {
    let is = |name, value: &str| field(info, name) == Some(value);
    // As Redis says it, and as Valkey does.
    if is("redis_mode", "sentinel") || is("server_mode", "sentinel") {
        Some(SENTINEL)
    } else if is("cluster_enabled", "1") {
        Some(CLUSTER)
    } else if is("role", "slave") {
        Some(REPLICA)
    } else {
        None
    }
}

/// It works until it is full, which may be never: that is no reason to refuse it.
fn warn_of(name: &str, info: &[u8]) {
    let max_memory = field(info, "maxmemory").filter(|bytes| *bytes != "0");
    let evicts_nothing = field(info, "maxmemory_policy") == Some("noeviction");
    if let (Some(max_memory), true) = (max_memory, evicts_nothing) {
        tracing::warn!(
            server = name,
            max_memory,
            "Redis will store nothing more once it is full: let it evict, with CONFIG SET maxmemory-policy allkeys-lru"
        );
    }
}

fn field<'a>(info: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = info.split(|byte| *byte == b'\n');
    let value = |line: &'a [u8]| {
        line.strip_prefix(name.as_bytes())?
            .strip_prefix(b":")?
            .strip_suffix(b"\r")
    };
    str::from_utf8(lines.filter_map(value).next()?).ok()
}

const SENTINEL: &str = "is a sentinel, which keeps no values: write redis-sentinel://host:port/master-name and enable \
                        the feature `sentinel`, or write the URL of the primary";

async fn keeps_values(store: &Redis, has: impl Fn(&Key) -> bool) -> Result<bool, Error> {
    let mut random = RandomState::new().hash_one(std::process::id());
    let key = loop {
        let key = Key::new(format!("worksharing check {random}"));
        if has(&key) {
            break key;
        }
        random = random.wrapping_add(1);
    };
    let entry =
        |number: u8| Bytes::from([&random.to_le_bytes()[..], &[number; Seen::LEN]].concat());
    let [first, second, third] = [1, 2, 3].map(entry);
    let fence = |seen: Option<&[u8]>| Fence::new(Seen::of(seen), None);
    let look = Look::up_to(usize::MAX).with_time_left();
    let mut kept = store.put(&key, first.clone(), TTL, fence(None)).await?;
    // Before any script, which would hide what else is missing.
    let found = store.get(slice::from_ref(&key), look).await?;
    let is_first =
        |found: Stored| found.bytes == first && found.time_left.is_some_and(|left| left <= TTL);
    kept &= found.into_iter().flatten().any(is_first);
    let range = Ask::Range {
        digest: *key.digest(),
        from: 1,
        time_left: false,
    };
    let range = store.answer(range, false).await?;
    kept &= matches!(range, Answer::Range(range) if range.length == first.len());
    kept &= store.put(&key, second, TTL, fence(Some(&first))).await?;
    store.replace(&key, third, TTL).await?;
    // It goes by itself, too, where this user may not delete.
    drop(store.answer(Ask::Delete(*key.digest()), false).await);
    Ok(kept)
}
