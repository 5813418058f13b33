use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::address::Address;
use super::commands::{Answer, Ask, Digest, FIRST, Piece};
use super::protocol::RedisProtocol;
use super::refusal::refusal;
use crate::backend::IDLE_DISCONNECT;
use crate::backend::link::Link;
use crate::backend::tls;
use crate::store::{Fence, Look, Seen, Store, Stored};
use crate::{BoxFuture, Error, Key};

/// Values in Redis: whatever is asked at the same time goes as one pipeline. A second connection, which is opened
/// when it is first needed, is for large values, so that small ones need not wait for them.
#[derive(Clone)]
pub struct Redis {
    links: Arc<Links>,
    /// What is asked is of a slot that the node is about to be given.
    #[cfg(feature = "cluster")]
    is_asking: bool,
}

struct Links {
    small: Link<RedisProtocol>,
    large: Link<RedisProtocol>,
}

/// What was read of an entry that was replaced meanwhile.
struct Replaced;

impl Redis {
    /// A store on this server, which is connected to when it is first needed. Keys are `prefix` and 32 hex
    /// digits.
    ///
    /// # Errors
    /// The URL is not one of a Redis server.
    pub fn new(url: &str, prefix: &str) -> Result<Self, Error> {
        let address = Address::parse(url, tls::BUILT_IN)?;
        Ok(Self::at(address, prefix))
    }

    /// A store on the server that sentinels call by this name,
    /// `redis-sentinel://[user:password@]host:26379,host:26379/master-name[/db]` (`rediss-sentinel://` for TLS). They are
    /// asked where it is at each connection.
    ///
    /// # Errors
    /// The URL is not one of Redis Sentinel.
    #[cfg(feature = "sentinel")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sentinel")))]
    pub fn by_sentinels(url: &str, prefix: &str) -> Result<Self, Error> {
        let address = Address::parse_sentinel(url, tls::BUILT_IN)?;
        Ok(Self::at(address, prefix))
    }

    pub(super) fn at(address: Address, prefix: &str) -> Self {
        Self::of(&Arc::new(address), prefix, IDLE_DISCONNECT)
    }

    /// The same, with connections that are closed after so long without being asked.
    pub(crate) fn idle_disconnect(self, time: Duration) -> Self {
        let protocol = self.links.small.protocol();
        Self::of(&protocol.address, &protocol.prefix, time)
    }

    fn of(address: &Arc<Address>, prefix: &str, idle_disconnect: Duration) -> Self {
        let link = || {
            Link::new(RedisProtocol {
                address: Arc::clone(address),
                prefix: prefix.to_owned(),
                idle_disconnect,
            })
        };
        Self {
            links: Arc::new(Links {
                small: link(),
                large: link(),
            }),
            #[cfg(feature = "cluster")]
            is_asking: false,
        }
    }

    /// The same node of a cluster, for keys of a slot that another is about to give to it.
    #[cfg(feature = "cluster")]
    pub(super) fn asking(&self) -> Self {
        Self {
            links: Arc::clone(&self.links),
            is_asking: true,
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.links.small.protocol().address
    }

    pub(super) fn answer(
        &self,
        ask: Ask,
        patiently: bool,
    ) -> impl Future<Output = Result<Answer, Error>> {
        self.links.small.answer(self.said(ask), patiently)
    }

    fn said(&self, ask: Ask) -> Ask {
        #[cfg(feature = "cluster")]
        if self.is_asking {
            return Ask::Asking(Box::new(ask));
        }
        ask
    }

    async fn piece(&self, key: &Key, look: Look) -> Result<Option<Piece>, Error> {
        let ask = Ask::Look(*key.digest(), look);
        Ok(match self.answer(ask, false).await? {
            Answer::Piece(piece) => piece,
            _ => None,
        })
    }

    async fn pieces(&self, keys: &[Key], look: Look) -> Result<Vec<Option<Piece>>, Error> {
        let digests = keys.iter().map(|key| *key.digest()).collect();
        Ok(match self.answer(Ask::Looks(digests, look), false).await? {
            Answer::Pieces(pieces) => pieces,
            _ => Vec::new(),
        })
    }

    /// The entry of which this is the beginning.
    async fn stored(
        &self,
        key: &Key,
        piece: Option<Piece>,
        look: Look,
    ) -> Result<Option<Stored>, Error> {
        match piece {
            // That takes a larger future.
            Some(piece) if piece.goes_on(look) => Box::pin(self.whole(key, piece, look)).await,
            piece => Ok(piece.map(|piece| piece.stored(look))),
        }
    }

    /// A large entry of which the beginning was read.
    async fn whole(&self, key: &Key, first: Piece, look: Look) -> Result<Option<Stored>, Error> {
        const TRIES: usize = 3;
        let mut first = Some(first);
        for _ in 0..TRIES {
            let Some(piece) = first else {
                return Ok(None);
            };
            if !piece.goes_on(look) {
                return Ok(Some(piece.stored(look)));
            }
            if let Ok(stored) = self.rest(*key.digest(), piece, look).await? {
                return Ok(Some(stored));
            }
            first = self.piece(key, look).await?;
        }
        // It is replaced faster than it can be read.
        Ok(None)
    }

    async fn rest(
        &self,
        digest: Digest,
        first: Piece,
        look: Look,
    ) -> Result<Result<Stored, Replaced>, Error> {
        let mut bytes = Vec::from(&first.bytes[..]);
        loop {
            let ask = Ask::Range {
                digest,
                from: bytes.len(),
                time_left: look.time_left,
            };
            let Answer::Range(range) = self.links.large.answer(self.said(ask), false).await? else {
                return Ok(Err(Replaced));
            };
            if range.head[..] != bytes[..Seen::LEN] {
                return Ok(Err(Replaced));
            }
            if range.length > look.max_bytes {
                let mut stored = Stored::new(range.head, look);
                stored.whole = false;
                return Ok(Ok(stored));
            }
            let time_left = match range.piece {
                Some(piece) => {
                    bytes.reserve_exact(range.length.saturating_sub(bytes.len()));
                    bytes.extend_from_slice(&piece.bytes);
                    piece.time_left
                }
                None if bytes.len() == range.length => first.time_left,
                None => return Ok(Err(Replaced)),
            };
            if bytes.len() >= range.length {
                let bytes = Bytes::from(bytes);
                return Ok(Ok(Piece { bytes, time_left }.stored(look)));
            }
        }
    }

    pub(super) async fn write(
        &self,
        key: &Key,
        entry: Bytes,
        ttl: Duration,
        fence: Option<Fence>,
    ) -> Result<bool, Error> {
        let is_large = entry.len() > FIRST;
        let links = &self.links;
        let link = if is_large { &links.large } else { &links.small };
        let put = Ask::Put {
            digest: *key.digest(),
            entry,
            ttl,
            fence,
        };
        Ok(matches!(
            link.answer(self.said(put), false).await?,
            Answer::Stored(true)
        ))
    }
}

impl Store for Redis {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        Box::pin(async move {
            let pieces = self.pieces(keys, look).await?;
            let mut found = Vec::with_capacity(pieces.len());
            for (key, piece) in keys.iter().zip(pieces) {
                found.push(self.stored(key, piece, look).await?);
            }
            Ok(found)
        })
    }

    fn get_one<'a>(
        &'a self,
        key: &'a Key,
        look: Look,
    ) -> BoxFuture<'a, Result<Option<Stored>, Error>> {
        Box::pin(async move {
            let piece = self.piece(key, look).await?;
            self.stored(key, piece, look).await
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
        let digests = keys.iter().map(|key| *key.digest()).collect();
        let keep = self.answer(Ask::Keep(digests, ttl), false);
        Box::pin(async move { keep.await.map(drop) })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(super::check::check(self))
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            for link in [&self.links.small, &self.links.large] {
                let flushed = link.flush(Ask::nothing).await;
                // A refusal is an answer, too: a node of a cluster has only some of the keys.
                flushed.or_else(|error| refusal(&error).map(drop).ok_or(error))?;
            }
            Ok(())
        })
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redis").field(&self.links.small).finish()
    }
}
