//! What makes an end of entries: a tombstone under their key, or another marker under one of their tags.

use std::time::Duration;

use crate::events::Event;
use crate::payload::entry::{Draft, Header, Kind, Written};
use crate::runtime::Runtime;
use crate::{Error, Key};

impl Runtime {
    /// Lays a tombstone, and keeps flights under way from serving callers that come later.
    pub(crate) async fn invalidate(&self, key: &Key) -> Result<(), Error> {
        let laid = self.lay(key, Kind::Tombstone).await;
        self.flights.supersede(key.digest());
        self.tell_of_change("invalidate", key).await;
        laid
    }

    /// Lays another marker. Flights under way go by what their callers saw of it.
    pub(crate) async fn invalidate_tag(&self, tag: &Key) -> Result<(), Error> {
        let laid = self.lay(tag, Kind::Marker).await;
        self.tell_of_change("invalidate_tag", tag).await;
        laid
    }

    /// Tells everybody who may have kept what the change makes invalid. This process knows when it completes.
    pub(super) async fn tell_of_change(&self, name: &'static str, key: &Key) {
        match self.changes.tell(&[*key.digest()]).await {
            Ok(()) => self.events.told(),
            Err(error) => self.events.record_of(name, key, Event::Untold(&error)),
        }
    }

    async fn lay(&self, key: &Key, kind: Kind) -> Result<(), Error> {
        const ATTEMPTS: usize = 3;
        let mut laid = self.try_to_lay(key, kind).await;
        for _ in 1..ATTEMPTS {
            if laid.is_ok() {
                break;
            }
            // Each with an id of its own: one that takes effect late must not look like one that was seen.
            laid = self.try_to_lay(key, kind).await;
        }
        match laid {
            Err(error) => self.lay_later(key, error).await,
            laid => laid,
        }
    }

    /// What the store refuses is laid once it does not, if there is an outbox to keep it until then.
    async fn lay_later(&self, key: &Key, refused: Error) -> Result<(), Error> {
        #[cfg(feature = "postgres")]
        if let Some(outbox) = &self.outbox
            && outbox.add(key).await.is_ok()
        {
            return Ok(());
        }
        #[cfg(not(feature = "postgres"))]
        let _ = key;
        Err(refused)
    }

    async fn try_to_lay(&self, key: &Key, kind: Kind) -> Result<(), Error> {
        let Written { bytes, lives_for } = without_value(key, kind, self.timeouts.tombstone_ttl);
        self.store.replace(key, bytes, lives_for).await
    }
}

/// A marker with a new id.
pub(super) fn marker(tag: &Key, ttl: Duration) -> Written {
    without_value(tag, Kind::Marker, ttl)
}

pub(crate) fn without_value(key: &Key, kind: Kind, ttl: Duration) -> Written {
    let header = Header::new(kind, ttl);
    Draft::new(header, key.characteristic(), None, usize::MAX).without_payload()
}
