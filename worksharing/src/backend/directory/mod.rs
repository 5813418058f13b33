//! Values and locks as files, among the processes of one machine.

mod board;
mod files;
mod lock;
mod poller;
mod store;

pub use self::lock::Directory as DirectoryLock;
pub use self::store::Directory as DirectoryStore;
