//! The PostgreSQL server: one session for locks and values, one for notifications.

mod advisory;
mod batch;
mod lease;
mod listener;
pub(crate) mod lock;
mod prepared;
mod probe;
mod serve;
pub(crate) mod server;
mod session;
pub(crate) mod socket;
mod store;
mod values;

pub(crate) use batch::{Answer, Ask, Held, SessionNumber};
pub(crate) use server::{Server, Settings};
pub use store::Postgres as PostgresStore;
pub(crate) use values::Put;
