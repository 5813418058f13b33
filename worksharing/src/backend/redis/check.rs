//! Whether a server can keep values: asked by doing it.

use std::hash::{BuildHasher as _, RandomState};
use std::slice;
use std::time::Duration;

use super::commands::{Answer, Ask};
use super::refusal;
use super::store::Redis;
use crate::store::{Fence, Look, Seen, Store as _, Stored};
use crate::{Error, ErrorKind, Key};
use bytes::Bytes;

/// Then nothing is left of the check, even if it ends half-way.
const TTL: Duration = Duration::from_secs(5);

/// Does all that a call does, under a key of its own, and says what was met.
pub(super) async fn check(store: &Redis) -> Result<(), Error> {
    let any = |_: &Key| true;
    check_with(store, says_of_itself(store).await, any).await
}

/// The same of a primary of a cluster, under a key that it has.
#[cfg(feature = "cluster")]
pub(super) async fn of_a_node(store: &Redis, has: impl Fn(&Key) -> bool) -> Result<(), Error> {
    check_with(store, Ok(None), has).await
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

async fn check_with(
    store: &Redis,
    says: Result<Option<&'static str>, Error>,
    has: impl Fn(&Key) -> bool,
) -> Result<(), Error> {
    let name = &store.address().name;
    let unsuitable = |what| Error::new(ErrorKind::Unsuitable, format!("{name} {what}"));
    match says {
        Ok(what) => what.map_or(Ok(()), |what| Err(unsuitable(what)))?,
        Err(error) => return Err(advised(name, error)),
    }
    let kept = keeps_values(store, has).await;
    match kept.map_err(|error| advised(name, error))? {
        true => Ok(()),
        false => Err(unsuitable(
            "does not keep what is stored there: write the URL of a server that keeps values until their time \
             to live ends",
        )),
    }
}

const CLUSTER: &str = "is a node of a Redis Cluster, which keeps only some of the keys: write \
                       redis-cluster://host:port and enable the feature `cluster`, or write the URL of a server that \
                       is none";
const REPLICA: &str = "is a replica, which takes no values: write the URL of its primary";

const RIGHTS: &str = "has not given this user the rights that are needed: ACL SETUSER … ~prefix* +getrange +strlen \
                      +pttl +set +eval (the prefix is that of Builder::prefix, ws: by default)";

/// What is wrong with it. A server that does not tell is asked no further.
async fn says_of_itself(store: &Redis) -> Result<Option<&'static str>, Error> {
    let info = match store.answer(Ask::Info, true).await {
        Ok(Answer::Info(info)) => info,
        Err(error) if refusal(&error).is_none() => return Err(error),
        _ => return Ok(None),
    };
    let says = |line: &str| {
        info.split(|byte| *byte == b'\n')
            .any(|found| found.starts_with(line.as_bytes()))
    };
    Ok(if says("cluster_enabled:1") {
        Some(CLUSTER)
    } else if says("role:slave") {
        Some(REPLICA)
    } else {
        None
    })
}

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

/// A refusal with what to do about it.
fn advised(name: &str, error: Error) -> Error {
    use ErrorKind::{Unavailable, Unsuitable};

    let Some(refusal) = refusal(&error) else {
        return error;
    };
    let detail = refusal.detail().unwrap_or_default();
    let (kind, advice) = match refusal.code().unwrap_or_default() {
        "READONLY" => (Unsuitable, REPLICA),
        "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" => (Unsuitable, CLUSTER),
        "NOPERM" => (Unsuitable, RIGHTS),
        "ERR" if detail.contains("user executing the script") => (Unsuitable, RIGHTS),
        "NOAUTH" => (
            Unsuitable,
            "asks for a password: write redis://user:password@host:6379",
        ),
        "OOM" => (
            Unavailable,
            "is full (maxmemory) and evicts nothing: give it more memory, or let it evict with CONFIG SET \
             maxmemory-policy allkeys-lru",
        ),
        "LOADING" => (
            Unavailable,
            "is loading its data: wait until it has done so",
        ),
        "MASTERDOWN" => (Unavailable, REPLICA),
        "MISCONF" | "NOREPLICAS" => (Unavailable, "takes no writes now: see its log"),
        "ERR" if detail.starts_with("unknown command") => (
            Unsuitable,
            "lacks a command that is needed (GETRANGE, STRLEN, PTTL, SET or EVAL), or it was renamed there: \
             give it back its name, or write the URL of a server that has it",
        ),
        _ => return error,
    };
    let refusal = refusal.clone();
    Error::new(kind, format!("{name} {advice}")).caused_by(refusal)
}
