//! Values and locks of one process.

mod lock;
mod store;

pub use self::lock::Local;
pub use self::store::Memory;
