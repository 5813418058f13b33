use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Server;
use super::probe::probe_key;
use super::session::{Answer, Ask, Put, Wanted};
use crate::outbox::Text;
use crate::store::{Fence, Look, Store, Stored};
use crate::{BoxFuture, Error, Key};

/// Values in an unlogged table of PostgreSQL, over the session of the locks: whatever is asked at the same time
/// goes as one statement.
///
/// The table is made at first use. Expiry is judged by the server's clock; expired rows are swept in small
/// ranges of the primary key. A crash of the server empties it.
#[derive(Debug)]
pub struct Postgres {
    server: Arc<Server>,
}

impl Postgres {
    pub(crate) fn new(server: &Arc<Server>) -> Self {
        Self {
            server: Arc::clone(server),
        }
    }

    fn key(&self, key: &Key) -> String {
        key.hex_after(&self.server.prefix)
    }

    /// What a key is made of, where it matters.
    fn text(&self, key: &Key) -> Option<Text> {
        Text::of(key, self.server.namespace.as_ref()?)
    }

    async fn write(
        &self,
        key: &Key,
        entry: Bytes,
        ttl: Duration,
        fence: Option<Fence>,
    ) -> Result<bool, Error> {
        let ask = Ask::Put(Put {
            key: self.key(key),
            entry,
            ttl,
            text: fence.as_ref().and_then(|_| self.text(key)),
            fence,
        });
        Ok(matches!(
            self.server.session.answer(ask, false).await?,
            Answer::Stored(true)
        ))
    }
}

impl Store for Postgres {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        Box::pin(async move {
            let wanted = |key| Wanted {
                key: self.key(key),
                text: self.text(key),
            };
            let keys = keys.iter().map(wanted).collect();
            match self
                .server
                .session
                .answer(Ask::Get(keys, look), false)
                .await?
            {
                Answer::Found(found) => Ok(found),
                other => Err(Error::unavailable(format!(
                    "a look was answered by {other:?}"
                ))),
            }
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(self.write(key, entry, ttl, Some(fence)))
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { self.write(key, entry, ttl, None).await.map(drop) })
    }

    fn keep<'a>(&'a self, keys: &'a [Key], ttl: Duration) -> BoxFuture<'a, Result<(), Error>> {
        let keys = keys.iter().map(|key| self.key(key)).collect();
        let kept = self.server.session.answer(Ask::Keep(keys, ttl), false);
        Box::pin(async move { kept.await.map(drop) })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let key = format!("{}check:{:x}", self.server.prefix, probe_key());
            let check = Ask::CheckValues(key);
            self.server.session.answer(check, true).await.map(drop)
        })
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.server.flush()
    }
}
