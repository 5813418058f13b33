use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::events::count;
use crate::flow::ancestry;
use crate::payload::codec::{self, Unencodable};
use crate::payload::entry::{Container, Draft, Header, Kind, Written};
use crate::payload::fingerprint::fingerprint;
use crate::sharing::Inner;
use crate::store::{Fence, Look, Seen, Stored};
use crate::{Error, Key};

/// Everything the flow needs to know of one call, but the types.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) sharing: Arc<Inner>,
    pub(crate) key: Key,
    pub(crate) ttl: Option<Duration>,
    pub(crate) force_refresh: bool,
    pub(crate) cache_none: bool,
    pub(crate) version: u32,
    pub(crate) name: &'static str,
}

/// What a look into the store found.
pub(super) enum Found<T> {
    Fresh(T, Bytes),
    Miss(Seen),
}

impl Call {
    pub(super) fn id(&self) -> ancestry::Id {
        (Arc::as_ptr(&self.sharing).addr(), *self.key.digest())
    }

    /// The value under this key. Trouble with the store is a miss.
    pub(super) async fn look<T: DeserializeOwned>(&self) -> Found<T> {
        let look = Look::up_to(self.sharing.max_value_bytes);
        let keys = std::slice::from_ref(&self.key);
        match self.sharing.store.get(keys, look).await {
            Ok(mut found) => match found.pop().flatten() {
                Some(found) => match self.read_stored(&found) {
                    Some(value) => Found::Fresh(value, found.bytes),
                    None => Found::Miss(Seen::of(Some(&found.bytes))),
                },
                None => Found::Miss(Seen::of(None)),
            },
            Err(error) => {
                self.sharing.without_store(self, &error);
                Found::Miss(Seen::of(None))
            }
        }
    }

    pub(crate) async fn peek<T: DeserializeOwned>(&self) -> Option<T> {
        match self.look().await {
            Found::Fresh(value, _) => Some(value),
            Found::Miss(_) => None,
        }
    }

    pub(crate) async fn invalidate(&self) -> Result<(), Error> {
        let header = Header::new(Kind::Tombstone, self.sharing.tombstone_ttl);
        let max_bytes = self.sharing.max_value_bytes;
        let tombstone = Draft::new(header, self.key.characteristic(), None, max_bytes);
        let Written { bytes, lives_for } = tombstone.without_payload();
        let laid = self
            .sharing
            .store
            .replace(&self.key, bytes, lives_for)
            .await;
        // Whoever asks from now on must not be given what was begun before.
        self.sharing.flights.forget(self.key.digest());
        laid
    }

    /// [`read`](Self::read), for an entry that somebody may have stored under other limits.
    fn read_stored<T: DeserializeOwned>(&self, found: &Stored) -> Option<T> {
        if !found.whole {
            return self.unreadable("it is larger than Builder::max_value_bytes allows");
        }
        self.read(&found.bytes)
    }

    /// Decodes an entry, if it is a value of this key and type.
    pub(super) fn read<T: DeserializeOwned>(&self, bytes: &[u8]) -> Option<T> {
        let container = match Container::parse(bytes) {
            Ok(container) => container,
            Err(reason) => return self.unreadable(&reason.to_string()),
        };
        if container.newest.header.kind == Kind::Tombstone {
            return None;
        }
        if container.characteristic != self.key.characteristic() {
            return self
                .unreadable("it belongs to another characteristic string with the same digest");
        }
        let Some(frame) = container.frame_of(fingerprint::<T>(self.version).hash) else {
            return self.unreadable("it holds a value of another type, structure or version");
        };
        let payload = frame.payload().map_err(|reason| reason.to_string());
        let value = payload.and_then(|(codec, payload)| {
            codec::decode(codec, payload).map_err(|reason| reason.to_string())
        });
        match value {
            Ok(value) => Some(value),
            Err(reason) => self.unreadable(&reason),
        }
    }

    fn unreadable<T>(&self, reason: &str) -> Option<T> {
        self.sharing.unreadable(self, reason);
        None
    }

    /// The entry of a computed value, if it is to be shared at all.
    pub(super) fn entry<T: Serialize + DeserializeOwned>(
        &self,
        value: &T,
        lifetime: &impl Fn(&T, Duration) -> Option<Duration>,
        compute_time: Duration,
    ) -> Option<Written> {
        if !self.cache_none && codec::is_none(value) {
            return None;
        }
        let ttl = lifetime(value, self.ttl.unwrap_or(self.sharing.default_ttl))?;
        let fingerprint = fingerprint::<T>(self.version);
        let header = Header {
            fingerprint: fingerprint.hash,
            compute_time,
            ..Header::new(Kind::Value, ttl.min(LONGEST))
        };
        let max_bytes = self.sharing.max_value_bytes;
        let draft = Draft::new(header, self.key.characteristic(), None, max_bytes);
        match codec::encode(value, fingerprint.names, draft.room()) {
            Ok(payload) => return Some(draft.finish(payload)),
            Err(Unencodable::TooLarge) => self.sharing.too_large(self),
            Err(reason) => self.sharing.unshareable(self, &reason.to_string()),
        }
        None
    }

    pub(super) async fn put(&self, entry: Written, fence: Fence) {
        let sharing = &self.sharing;
        if entry.lives_for.is_zero() {
            return sharing.no_lifetime(self);
        }
        match sharing
            .store
            .put(&self.key, entry.bytes, entry.lives_for, fence)
            .await
        {
            Ok(true) => count(&sharing.counts.stored),
            Ok(false) => sharing.refused(self),
            Err(error) => sharing.without_store(self, &error),
        }
    }

    pub(super) fn recursion(&self) {
        self.sharing.recursion(self);
    }
}

/// Ten years: past what any store's clock arithmetic minds.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
