//! Where values are kept and locks are taken: a folder for each server. Nothing here knows the flow.

pub(crate) mod clock;
pub(crate) mod directory;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod link;
pub(crate) mod memory;
mod notify;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(feature = "postgres")]
pub(crate) mod shards;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod tls;
