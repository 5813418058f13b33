//! Redis: where it is, the wire to it, what is said over it, and the store on top.

mod address;
mod batch;
mod check;
mod commands;
mod pace;
mod protocol;
mod socket;
mod store;
#[cfg(test)]
mod tests;
mod wire;

#[cfg(test)]
pub(crate) use address::Address;
pub use store::Redis;
