//! The PostgreSQL server: one session for locks and values, one for notifications.

mod advisory;
mod batch;
mod lease;
mod listener;
mod prepared;
mod probe;
mod serve;
pub(crate) mod server;
mod session;
mod values;

pub(crate) use batch::{Answer, Ask, Held, SessionNumber};
pub(crate) use server::{Server, Settings};
pub(crate) use values::Put;
