use std::hash::{BuildHasher as _, RandomState};

use ::postgres::Client;
use ::postgres::error::SqlState;
use ::postgres::types::Type;

use super::address::Address;
use crate::Error;
use crate::backend::link::Watchdog;

/// A session that is frozen, cut off or forgotten loses its keys within seconds; no statement waits long;
/// and the defaults of the role or database do not get in our way. What the server does not know is left out.
const SETTINGS: &[(&str, &str)] = &[
    // Freed 15 s after a process froze. Its heartbeat comes every 5 s.
    ("idle_session_timeout", "15s"),
    ("idle_in_transaction_session_timeout", "15s"),
    ("statement_timeout", "2s"),
    // Somebody's DDL on the table of values must not hold up the locks.
    ("lock_timeout", "250ms"),
    ("client_connection_check_interval", "5s"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "6000"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    // Our statements look rows up, and are planned once. A plan that was made while a table was empty must not read all
    // of it later.
    ("enable_seqscan", "off"),
    ("plan_cache_mode", "force_generic_plan"),
    // What is stored is a cache.
    ("synchronous_commit", "off"),
];

const SET: &str = "\
SELECT set_config(name, wanted, false) FROM unnest($1::text[], $2::text[]) AS t(name, wanted)
  JOIN pg_settings USING (name)";

/// Sets a session up. Never before the probe: behind a pooler the settings would be other people's.
pub(crate) fn set_up(client: &mut Client, address: &Address) -> Result<(), Error> {
    if set(client, SETTINGS).is_ok() {
        return Ok(());
    }
    for setting in SETTINGS {
        // A platform may not have what the setting stands for.
        if let Err(error) = set(client, &[*setting])
            && error.as_db_error().is_none()
        {
            return Err(address.error(error));
        }
    }
    Ok(())
}

fn set(client: &mut Client, settings: &[(&str, &str)]) -> Result<(), ::postgres::Error> {
    let (names, values): (Vec<&str>, Vec<&str>) = settings.iter().copied().unzip();
    client
        .query_typed(
            SET,
            &[(&names, Type::TEXT_ARRAY), (&values, Type::TEXT_ARRAY)],
        )
        .map(drop)
}

/// The session is on a primary, where locks exclude and values can be written.
pub(crate) fn not_in_recovery(client: &mut Client, address: &Address) -> Result<(), Error> {
    let row = client
        .query_typed_one("SELECT pg_is_in_recovery()", &[])
        .map_err(|error| address.error(error))?;
    if row.get(0) {
        return Err(address.unsuitable(
            "is a standby (it is in recovery): its locks exclude nobody on the primary, and nothing can be \
             stored; write the URL of the primary",
        ));
    }
    Ok(())
}

/// Locks of a session are that session's: they keep another one out, and end when it says so.
///
/// Behind a pooler in transaction mode two clients share server sessions, or one has several; which one a
/// statement goes to is seen by the number of the server's process.
pub(crate) fn session_locks_work(
    a: &mut Client,
    b: &mut Client,
    address: &Address,
    watchdog: &Watchdog,
) -> Result<(), Error> {
    // What is found counts if it is found again: a session that ends in between looks like a bad server.
    let found = match try_them(a, b, watchdog) {
        Ok(Some(_)) => try_them(a, b, watchdog),
        found => found,
    };
    match found {
        Ok(None) => Ok(()),
        Ok(Some(found)) => Err(address.unsuitable(&format!(
            "does not keep advisory locks by session ({found}): is there a PgBouncer in transaction mode \
             before it? Connect to PostgreSQL itself or to a pool in session mode, or choose lease rows with \
             `.postgres_lock(PostgresLock::Lease)`"
        ))),
        Err(error) if error.code().is_some_and(|code| MISSING.contains(code)) => Err(address
            .unsuitable(
                "has no advisory locks: choose lease rows with `.postgres_lock(PostgresLock::Lease)`",
            )
            .caused_by(error)),
        Err(error) => Err(address.error(error)),
    }
}

/// How a server says that it does not have something, rather than that it cannot do it now.
const MISSING: [SqlState; 3] = [
    SqlState::UNDEFINED_FUNCTION,
    SqlState::FEATURE_NOT_SUPPORTED,
    SqlState::INSUFFICIENT_PRIVILEGE,
];

/// A busy pooler may look like a session for a moment.
const ROUNDS: usize = 3;

type Found = Option<&'static str>;

/// Returns what was found instead of working locks.
fn try_them(
    a: &mut Client,
    b: &mut Client,
    watchdog: &Watchdog,
) -> Result<Found, ::postgres::Error> {
    if let Some(found) = compare_sessions(a, b, watchdog)? {
        return Ok(Some(found));
    }
    // In transactions, so that behind a pooler, too, whatever is locked here is unlocked here.
    watchdog.arm();
    a.batch_execute("BEGIN")?;
    b.batch_execute("BEGIN")?;
    watchdog.arm();
    let found = compare_locks(a, b)?;
    watchdog.arm();
    a.batch_execute("ROLLBACK")?;
    b.batch_execute("ROLLBACK")?;
    Ok(found)
}

/// Each client stays with a server session of its own: while the other one is busy, and in turns.
fn compare_sessions(
    a: &mut Client,
    b: &mut Client,
    watchdog: &Watchdog,
) -> Result<Found, ::postgres::Error> {
    const SHARED: &str = "two clients were given the same server session";
    const MOVED: &str = "one client was given two server sessions";
    watchdog.arm();
    let of_a = backend(a)?;
    b.batch_execute("BEGIN")?;
    let of_b = backend(b)?;
    let moved = of_a != backend(a)?;
    watchdog.arm();
    b.batch_execute("ROLLBACK")?;
    if of_a == of_b {
        return Ok(Some(SHARED));
    }
    if moved {
        return Ok(Some(MOVED));
    }
    for _ in 0..ROUNDS {
        watchdog.arm();
        if of_a != backend(a)? || of_b != backend(b)? {
            return Ok(Some(MOVED));
        }
    }
    Ok(None)
}

fn compare_locks(a: &mut Client, b: &mut Client) -> Result<Found, ::postgres::Error> {
    const TRY: &str = "SELECT pg_try_advisory_lock($1)";
    const UNLOCK: &str = "SELECT pg_advisory_unlock($1)";
    // Of each probe its own, so that processes do not take each other for a bad server.
    let key = probe_key();
    if !answer(a, TRY, key)? {
        return Ok(Some("a free key could not be locked"));
    }
    let twice = answer(b, TRY, key)?;
    if twice {
        answer(b, UNLOCK, key)?;
    }
    let held = answer(a, UNLOCK, key)?;
    Ok(if twice {
        Some("two sessions locked the same key")
    } else if !held {
        Some("a lock was gone before it was unlocked")
    } else {
        None
    })
}

/// The heartbeat: still on a primary, and still the same server process.
pub(crate) fn same_session(
    client: &mut Client,
    backend: Option<i32>,
    address: &Address,
) -> Result<(), Error> {
    not_in_recovery(client, address)?;
    let Some(backend) = backend else {
        return Ok(());
    };
    let now = self::backend(client).map_err(|error| address.error(error))?;
    if now == backend {
        return Ok(());
    }
    Err(address
        .unsuitable("has moved this client to another server session, and its locks are gone"))
}

/// The number of the server's process for this client.
pub(crate) fn backend(client: &mut Client) -> Result<i32, ::postgres::Error> {
    Ok(client
        .query_typed_one("SELECT pg_backend_pid()", &[])?
        .get(0))
}

fn answer(client: &mut Client, sql: &str, key: i64) -> Result<bool, ::postgres::Error> {
    Ok(client.query_typed_one(sql, &[(&key, Type::INT8)])?.get(0))
}

/// Random, and outside of the ranges of lock keys (`0xc…`) and interest keys (`0xd…`).
pub(crate) fn probe_key() -> i64 {
    let random = RandomState::new().hash_one(std::process::id());
    (0xe << 60 | random >> 4).cast_signed()
}
