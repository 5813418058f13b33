// A document links to files, where it is read as a file; here the first definition of a link counts.
#![doc = "[protocol]: crate::docs::protocol\n\n[architecture]: crate::docs::architecture\n\n"]
#![doc = "[attribute]: macro@crate::work_shared\n\n[freshness]: crate::docs::freshness\n\n"]
#![doc = "[invalidation]: crate::docs::invalidation\n\n[operations]: crate::docs::operations\n\n"]
#![doc = "[many]: crate::docs::many\n\n"]
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod background;
mod blocking;
mod builder;
mod changes;
mod computing;
mod default_key;
mod detached;
mod each;
mod entry;
mod error;
mod events;
mod flow;
mod handle;
mod install;
mod key;
pub mod lock;
mod many;
mod namespace;
mod near;
#[cfg(feature = "postgres")]
mod outbox;
mod payload;
mod per_process;
mod plan;
mod policy;
mod runtime;
mod sharing;
mod sought;
pub mod store;
mod sync;
mod taken;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod together;
mod work;

// Named by the version: the macro crate of another one must not find it.
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private_0_1;

pub use builder::Builder;
pub use bytes::Bytes;
pub use computing::Computation;
pub use each::ByKey;
pub use entry::Entry;
pub use error::{Error, ErrorKind};
pub use events::Stats;
pub use handle::{AsyncCall, AsyncManyCall, Call, ManyCall};
pub use key::Key;
pub use lock::PostgresLock;
pub use many::{DetachedMany, ManyWork};
pub use sharing::WorkSharing;
pub use work::{Detached, Work};
#[doc = include_str!("../docs/work_shared.md")]
pub use worksharing_macros::work_shared;

/// Pages on subjects of their own.
#[cfg(doc)]
pub mod docs {
    #[doc = "[protocol]: crate::docs::protocol\n\n"]
    #[doc = include_str!("../docs/architecture.md")]
    pub mod architecture {}

    #[doc = include_str!("../docs/freshness.md")]
    pub mod freshness {}

    #[doc = include_str!("../docs/invalidation.md")]
    pub mod invalidation {}

    #[doc = include_str!("../docs/many.md")]
    pub mod many {}

    #[doc = "[invalidation]: crate::docs::invalidation\n\n[protocol]: crate::docs::protocol\n\n"]
    #[doc = include_str!("../docs/operations.md")]
    pub mod operations {}

    #[doc = include_str!("../docs/performance.md")]
    pub mod performance {}

    // Its marks, like `[m]`, are no links.
    #[allow(rustdoc::broken_intra_doc_links)]
    #[doc = "[invalidation]: crate::docs::invalidation\n\n[many]: crate::docs::many\n\n"]
    #[doc = "[operations]: crate::docs::operations\n\n[performance]: crate::docs::performance\n\n"]
    #[doc = include_str!("../docs/protocol.md")]
    pub mod protocol {}
}

/// A boxed future, as [`Store`](store::Store) and [`Lock`](lock::Lock) return it: what
/// `async fn` in a trait would be, were such traits usable behind `dyn`.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
