//! What to say about options that do not exist.

pub(crate) const OPTIONS: &[&str] = &[
    "ttl",
    "key",
    "each",
    "tags",
    "skip",
    "skip_all",
    "force_refresh",
    "via",
    "cache_if",
    "cache_none",
    "share_err",
    "cache_err",
    "stale_while_revalidate",
    "stale_if_error",
    "early_refresh",
    "jitter",
    "wait",
    "on_timeout",
    "local",
    "detach",
    "version",
    "handle",
    "name",
    "crate",
];

/// Reserved, so that they are not guessed to be misspelt.
const LATER: &[&str] = &["codec"];

/// What to write instead of an option that is not one.
pub(crate) fn unknown_option(name: &str, value: Option<&str>) -> String {
    if LATER.contains(&name) {
        return format!("the option `{name}` is not available yet: remove it");
    }
    if let Some(hint) = habit(name, value) {
        return format!("there is no option `{name}`: {hint}");
    }
    match closest(name, OPTIONS.iter().copied()) {
        Some(meant) => format!("unknown option `{name}`: did you mean `{meant}`?"),
        None => format!("unknown option `{name}`: the options are {}", list(OPTIONS)),
    }
}

/// Habits from other crates.
fn habit(name: &str, value: Option<&str>) -> Option<String> {
    let hint = match name {
        "time" | "time_secs" | "ttl_secs" | "seconds" | "secs" | "expire" | "expires"
        | "expiry" | "expiration" | "max_age" | "lifespan" => {
            return Some(format!("write `ttl = \"{}\"`", in_seconds(value)));
        }
        "ttl_millis" | "time_millis" | "millis" => {
            return Some(format!(
                "write `ttl = \"{}ms\"`",
                number(value).unwrap_or("250")
            ));
        }
        "timeout" | "wait_timeout" | "lock_timeout" | "max_wait" | "deadline" => {
            return Some(format!(
                "for how long a value lives, write `ttl = \"60s\"`; for how long a caller waits, \
                 `wait = \"{}\", on_timeout = \"compute\"`",
                in_seconds(value)
            ));
        }
        "swr" | "stale" | "stale_ttl" | "max_stale" | "serve_stale" | "stale_for"
        | "revalidate" => {
            "write `stale_while_revalidate = \"10m\"`: for so long after `ttl` the old value is \
             served while a new one is computed"
        }
        "grace" | "grace_period" | "keep" | "fail_safe" | "failsafe" | "stale_on_error"
        | "fallback" => {
            "write `stale_if_error = \"1d\"`: for so long after `ttl` an older value is returned \
             where the computation fails"
        }
        "refresh_ahead"
        | "refresh_early"
        | "eager_refresh"
        | "eager_refresh_threshold"
        | "prefetch"
        | "xfetch"
        | "beta"
        | "early_expiration" => {
            "write `early_refresh`, or `early_refresh = 1.5` to refresh earlier"
        }
        "background" | "spawn" | "spawned" | "detached" | "uncancellable" => {
            "write `detach`: the computation then belongs to the runtime, and not to its caller"
        }
        "ttl_jitter" | "spread" | "splay" | "variance" => {
            "write `jitter = \"10%\"`, or `jitter = \"5s\"`"
        }
        "in_memory" | "memory" | "near" | "l1" | "local_ttl" | "near_ttl" | "memory_ttl" => {
            "write `local = \"5s\"`: for so long the value is also kept in the process, decoded"
        }
        "default" | "otherwise" | "timeout_value" | "on_wait" => {
            "for what a caller gets that has waited for too long, write `wait = \"2s\", on_timeout = …`"
        }
        "cache_errors" | "cache_error" | "negative_ttl" | "error_ttl" | "err_ttl" => {
            "write `cache_err = \"5s\"`: for so long an error is stored for all processes"
        }
        "share_errors" | "clone_err" | "clone_errors" | "map_err" => {
            "errors that are `Clone` are shared with those who waited; for others, write \
             `share_err = |error| …`"
        }
        "convert" | "key_fn" | "cache_key" => {
            "write the key as a template, `key = \"report:{year}\"`, or as an expression, \
             `key = format!(…)`"
        }
        "result" | "option" => {
            "remove it; by their types, only `Ok` of a `Result` and `Some` of an `Option` are stored"
        }
        "sync_writes" | "sync_lock" | "single_flight" | "lock" => {
            "remove it; callers of one key always share one computation"
        }
        "size" | "max_size" | "capacity" | "max_capacity" | "unbound" | "unbounded" => {
            "remove it; the store limits its own size"
        }
        "ty" | "create" | "map" | "map_error" | "disk" | "redis" | "store" | "cache"
        | "runtime" | "sharing" => {
            "values live in the runtime's store; write `via = …` to choose a runtime"
        }
        "time_refresh" | "with_cached_flag" | "in_impl" => "remove it",
        "depends_on" | "dependencies" | "deps" | "group" | "groups" | "surrogate_keys"
        | "labels" | "invalidated_by" | "sync_to" => {
            "write `tags(\"user:{user}\")`: `invalidate_tag` then makes a miss of all that has the tag"
        }
        "for_each" | "many" | "batch" | "bulk" | "multi" | "multiget" | "keys" | "items" => {
            "write `each = id in ids, key = \"user:{id}\"`: each id is then shared work of its own"
        }
        "ignore" | "exclude" => "write `skip(…)` to leave arguments out of the default key",
        "force" | "force_update" | "refresh" => "write `force_refresh = …`",
        "condition" | "when" | "unless" => "write `cache_if = |value| …`",
        "namespace" | "prefix" | "cache_prefix_block" => {
            "set the namespace of the runtime, `WorkSharing::builder().namespace(…)`, or write it \
             into the key"
        }
        _ => return None,
    };
    Some(hint.into())
}

/// `60` of another crate, as this one writes it.
pub(crate) fn in_seconds(value: Option<&str>) -> String {
    format!("{}s", number(value).unwrap_or("60"))
}

fn number(value: Option<&str>) -> Option<&str> {
    value.filter(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit()))
}

/// The name that was probably meant.
pub(crate) fn closest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters to insert, remove, replace or swap with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replace = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

/// `` `a`, `b` `` for a message.
pub(crate) fn list<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_was_meant() {
        let cases = [
            ("tll", Some("ttl")),
            ("tl", Some("ttl")),
            ("kye", Some("key")),
            ("skipall", Some("skip_all")),
            ("cache_nome", Some("cache_none")),
            ("force_refesh", Some("force_refresh")),
            ("verison", Some("version")),
            ("banana", None),
        ];
        for (name, meant) in cases {
            assert_eq!(closest(name, OPTIONS.iter().copied()), meant, "{name}");
        }
    }

    #[test]
    fn takes_the_number_along() {
        let hint = unknown_option("time", Some("90"));
        assert!(hint.ends_with("write `ttl = \"90s\"`"), "{hint}");
    }
}
