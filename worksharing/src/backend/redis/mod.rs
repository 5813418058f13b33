//! Redis: where it is, the wire to it, what is said over it, and the store on top.

mod address;
mod batch;
mod check;
#[cfg(feature = "cluster")]
mod cluster;
mod commands;
mod pace;
mod protocol;
mod refusal;
mod role;
#[cfg(feature = "sentinel")]
mod sentinel;
mod socket;
mod store;
#[cfg(test)]
mod tests;
mod wire;

#[cfg(test)]
pub(crate) use address::Address;
#[cfg(feature = "cluster")]
pub use cluster::RedisCluster;
pub use store::Redis;
