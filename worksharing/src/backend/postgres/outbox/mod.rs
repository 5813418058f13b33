//! The outbox in the database: rows that users' transactions have written, for whoever lays what they ask for.

mod names;
mod queue;

pub(crate) use self::names::Names;
pub(crate) use self::queue::Queue;
