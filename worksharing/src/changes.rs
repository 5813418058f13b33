//! Changes of keys and tags: what a process tells the others of, and what it has heard of itself.

mod clock;
mod epochs;

use std::fmt;
use std::sync::Arc;

pub(crate) use self::clock::{Time, time_of};
pub(crate) use self::epochs::{Epochs, Stamp, Stripe, stripe_of};
use crate::{BoxFuture, Error};

/// What tells a key from every other.
pub(crate) type Digest = [u8; 16];

/// The way to the other processes. What comes back is counted by [`Epochs`].
pub(crate) trait Changes: fmt::Debug + Send + Sync {
    /// Tells all who listen that something newer stands under these keys now. Once it completes, the server passes it on.
    ///
    /// # Errors
    /// The server cannot be reached, or refused: nobody was told.
    ///
    /// # Cancel safety
    /// Dropped, they may or may not be told.
    fn tell(&self, digests: &[Digest]) -> BoxFuture<'_, Result<(), Error>>;

    /// Connects to listen, unless it does already. Until that is done nothing is heard.
    fn listen(&self);
}

/// The changes of a runtime.
#[derive(Debug)]
pub(crate) struct Changed {
    epochs: Arc<Epochs>,
    others: Option<Arc<dyn Changes>>,
}

impl Changed {
    /// Of a runtime that shares with these others; with none, if its store is this process's alone.
    pub(crate) fn new(epochs: Arc<Epochs>, others: Option<Arc<dyn Changes>>) -> Arc<Self> {
        Arc::new(Self { epochs, others })
    }

    pub(crate) fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// Tells everybody that these have changed: this process at once, whatever becomes of the rest.
    ///
    /// # Errors
    /// The other processes were not told.
    ///
    /// # Cancel safety
    /// Dropped, the others may or may not be told.
    pub(crate) async fn tell(&self, digests: &[Digest]) -> Result<(), Error> {
        self.epochs.changed(digests);
        match &self.others {
            Some(others) => others.tell(digests).await,
            None => Ok(()),
        }
    }

    /// Sees to it that changes are heard, if there is a way.
    pub(crate) fn listen(&self) {
        if let Some(others) = self.others.as_ref().filter(|_| !self.epochs.are_heard()) {
            others.listen();
        }
    }
}
