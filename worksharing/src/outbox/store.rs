use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Outbox, Text};
use crate::namespace::Namespace;
use crate::payload::entry::{Kind, Written};
use crate::store::{Fence, Look, Store, Stored};
use crate::{BoxFuture, Error, Key};

/// A store behind an outbox: the first looks of a process wait for it, and what is pending counts as laid.
pub(super) struct Looked(Arc<Outbox>);

impl Looked {
    pub(super) fn new(outbox: &Arc<Outbox>) -> Self {
        Self(Arc::clone(outbox))
    }

    fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// A look that need not wait, and sees nothing that is pending.
    fn is_plain(&self) -> bool {
        !self.0.is_exact && self.0.is_ready()
    }

    async fn look(&self, keys: &[Key], look: Look) -> Result<Vec<Option<Stored>>, Error> {
        const ROUNDS: usize = 3;
        self.0.ready().await;
        let mut found = self.store().get(keys, look).await?;
        for _ in 0..ROUNDS {
            let pending = pending(keys, &found, &self.0.namespace);
            if pending.is_empty() {
                return Ok(found);
            }
            self.0.resolve(pending).await;
            found = self.store().get(keys, look).await?;
        }
        let all = keys.iter().zip(found);
        Ok(all
            .map(|(key, found)| self.laid(key, found, look))
            .collect())
    }

    /// What is pending, as if it were laid: with an id that nobody has seen, and nobody will see.
    fn laid(&self, key: &Key, found: Option<Stored>, look: Look) -> Option<Stored> {
        let found = found?;
        if !found.is_pending {
            return Some(found);
        }
        let text = Text::of(key, &self.0.namespace);
        let kind = text.map_or(Kind::Tombstone, |text| text.kind());
        let Written { bytes, lives_for } = self.0.entry(key, kind);
        Some(Stored::new(bytes, look).with_time_left(lives_for))
    }
}

/// What is pending of these keys.
fn pending(keys: &[Key], found: &[Option<Stored>], namespace: &Namespace) -> Vec<Text> {
    let is_pending = |found: &Option<Stored>| found.as_ref().is_some_and(|found| found.is_pending);
    let pending = keys.iter().zip(found);
    let pending = pending.filter(|(_, found)| is_pending(found));
    let text = |(key, _): (&Key, _)| Text::of(key, namespace);
    pending.filter_map(text).collect()
}

impl Store for Looked {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        if self.is_plain() {
            return self.store().get(keys, look);
        }
        Box::pin(self.look(keys, look))
    }

    fn get_one<'a>(
        &'a self,
        key: &'a Key,
        look: Look,
    ) -> BoxFuture<'a, Result<Option<Stored>, Error>> {
        if self.is_plain() {
            return self.store().get_one(key, look);
        }
        Box::pin(async move {
            let found = self.look(std::slice::from_ref(key), look).await?;
            Ok(found.into_iter().next().flatten())
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        self.store().put(key, entry, ttl, fence)
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.store().replace(key, entry, ttl)
    }

    fn keep<'a>(&'a self, keys: &'a [Key], ttl: Duration) -> BoxFuture<'a, Result<(), Error>> {
        self.store().keep(keys, ttl)
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.store().check().await?;
            self.0.check().await
        })
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.store().flush()
    }
}

impl fmt::Debug for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store().fmt(f)
    }
}
