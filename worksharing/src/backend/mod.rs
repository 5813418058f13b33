//! Where values are kept and locks are taken: a folder for each server. Nothing here knows the flow.

use std::time::Duration;

pub(crate) mod clock;
pub(crate) mod directory;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod link;
pub(crate) mod memory;
mod notify;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod process_name;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(feature = "postgres")]
pub(crate) mod shards;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod tls;

/// After how long a connection is closed that nobody needs, where nothing else is said.
pub(crate) const IDLE_DISCONNECT: Duration = Duration::from_secs(300);
