//! Values and locks of one process.

mod entries;
mod lock;
mod store;

pub use self::lock::Local;
pub use self::store::Memory;
