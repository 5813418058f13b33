//! What a server refuses, and what to do about it.

use redis::RedisError;

use super::address::Address;
use crate::{Error, ErrorKind};

pub(super) const CLUSTER: &str = "is a node of a Redis Cluster, which keeps only some of the keys: write \
                                  redis-cluster://host:port and enable the feature `cluster`, or write the URL of a \
                                  server that is none";
pub(super) const REPLICA: &str =
    "is a replica, which takes no values: write the URL of its primary";
const RIGHTS: &str = "has not given this user the rights that are needed: ACL SETUSER … ~prefix* +getrange +strlen \
                      +pttl +set +eval (the prefix is that of Builder::prefix, ws: by default)";

/// What the server said, if that is why it failed.
pub(super) fn refusal(error: &Error) -> Option<&RedisError> {
    error.cause()
}

/// A server's refusal, with what to do about it.
pub(super) fn refused(address: &Address, refusal: RedisError) -> Error {
    let (kind, advice) = advice(address, &refusal).unwrap_or((ErrorKind::Unavailable, "refused"));
    Error::new(kind, format!("{} {advice}", address.name)).caused_by(refusal)
}

fn advice(address: &Address, refusal: &RedisError) -> Option<(ErrorKind, &'static str)> {
    use ErrorKind::{Unavailable, Unsuitable};

    let detail = refusal.detail().unwrap_or_default();
    Some(match refusal.code().unwrap_or_default() {
        // A node of a cluster that is known to be one says where else to ask.
        "READONLY" | "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" if !address.wants_primary => {
            return None;
        }
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
            "is full (maxmemory) and finds nothing to evict: give it more memory, or let it evict with CONFIG SET \
             maxmemory-policy allkeys-lru",
        ),
        "LOADING" => (
            Unavailable,
            "is loading its data: it is used again when it has done so",
        ),
        "MASTERDOWN" => (Unavailable, REPLICA),
        "MISCONF" | "NOREPLICAS" => (Unavailable, "takes no writes now: see its log"),
        "ERR" if detail.starts_with("unknown command") => (
            Unsuitable,
            "lacks a command that is needed (GETRANGE, STRLEN, PTTL, SET or EVAL), or it was renamed there: \
             give it back its name, or write the URL of a server that has it",
        ),
        _ => return None,
    })
}
