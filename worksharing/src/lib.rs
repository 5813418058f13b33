#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod block_on;
mod builder;
mod codec;
mod computing;
mod entry;
mod error;
mod events;
mod fingerprint;
mod flight;
mod flow;
mod key;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod link;
pub mod lock;
mod outcome;
#[cfg(feature = "postgres")]
mod postgres;
mod sharing;
pub mod store;
mod sync;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod tls;
mod work;

#[doc(hidden)]
pub mod __private;

pub use __private::{AsyncCall, Call};
pub use builder::{Builder, PostgresLock};
pub use bytes::Bytes;
pub use error::{Error, ErrorKind};
pub use events::Stats;
pub use key::Key;
pub use sharing::WorkSharing;
pub use work::Work;
#[doc = include_str!("../docs/work_shared.md")]
pub use worksharing_macros::work_shared;

/// A boxed future, as [`Store`](store::Store) and [`Lock`](lock::Lock) return it: what
/// `async fn` in a trait would be, were such traits usable behind `dyn`.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
