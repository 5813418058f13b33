use std::sync::Arc;
use std::time::Duration;

use crate::{Error, Work};

/// A runtime: where locks are taken and values are kept. A cheap clone.
#[derive(Clone, Debug)]
pub struct WorkSharing(Arc<()>);

/// Settings of a [`WorkSharing`].
#[derive(Debug, Default)]
pub struct Builder {}

/// Counts since the runtime was built.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Calls answered from the store.
    pub hits: u64,
}

impl WorkSharing {
    /// Begins to describe a runtime.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A runtime of one process.
    pub fn in_memory() -> Self {
        Self(Arc::new(()))
    }

    /// The runtime that functions without `via` use.
    pub fn installed() -> Self {
        todo!()
    }

    /// One piece of work, by its characteristic string.
    pub fn work<T>(&self, characteristic: impl Into<String>) -> Work<T> {
        Work::new(self.clone(), characteristic.into())
    }

    /// Makes this the runtime of functions without `via`.
    ///
    /// # Errors
    /// Another one is installed.
    pub fn install(&self) -> Result<(), Error> {
        todo!()
    }

    /// The default time to live.
    pub fn default_ttl(&self) -> Duration {
        todo!()
    }
}
