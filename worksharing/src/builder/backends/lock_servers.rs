//! Several lock servers.

#[cfg(feature = "postgres")]
use std::collections::BTreeMap;
#[cfg(feature = "postgres")]
use std::sync::Arc;

use super::super::Builder;
use super::Named;
#[cfg(feature = "postgres")]
use super::Purpose;
use crate::Error;
#[cfg(feature = "postgres")]
use crate::backend::postgres::identity;
#[cfg(feature = "postgres")]
use crate::backend::shards::{ShardedBoard, ShardedLock, Shards};
#[cfg(feature = "postgres")]
use crate::changes::Epochs;

impl Builder {
    #[cfg(feature = "postgres")]
    pub(super) fn name_lock_servers(&self, named: &mut Named) -> Result<(), Error> {
        let servers = self.servers_by_identity()?;
        if servers.is_empty() || named.lock.is_some() {
            return Ok(());
        }
        let postgres = self.postgres.as_ref().map(|url| &*url.0);
        let (mut locks, mut boards) = (Vec::new(), Vec::new());
        for (at, (identity, url)) in servers.into_iter().enumerate() {
            let is_postgres = postgres == Some(url);
            // Changes go one way, on which the processes agree.
            let tells = is_postgres || (postgres.is_none() && at == 0);
            let epochs = match tells {
                true => Arc::clone(&named.epochs),
                false => Arc::new(Epochs::new()),
            };
            let server = self.postgres_backends(url, &epochs, Purpose::Locks)?;
            locks.push((identity.clone(), Arc::clone(&server.lock)));
            boards.push((identity, Arc::clone(&server.board)));
            if is_postgres {
                named.also_postgres = Some(server);
            } else if tells {
                named.changes = Some(server.changes);
            }
        }
        named.lock = Some(Arc::new(ShardedLock::new(Shards::new(locks))));
        named.board = Some(Arc::new(ShardedBoard::new(Shards::new(boards))));
        Ok(())
    }

    /// Each server once, in an order that does not depend on that of the list.
    #[cfg(feature = "postgres")]
    fn servers_by_identity(&self) -> Result<BTreeMap<String, &str>, Error> {
        let urls = self.lock_servers.as_deref().unwrap_or_default();
        let mut servers = BTreeMap::new();
        for (at, url) in urls.iter().enumerate() {
            let identity = identity(&url.0).map_err(|error| {
                let (number, all) = (at + 1, urls.len());
                Error::setting(format!("lock server {number} of {all}: {error}"))
            })?;
            servers.entry(identity).or_insert(&*url.0);
        }
        Ok(servers)
    }

    #[cfg(not(feature = "postgres"))]
    pub(super) fn name_lock_servers(&self, _named: &mut Named) -> Result<(), Error> {
        match self.lock_servers {
            Some(_) => Err(super::not_enabled("postgres")),
            None => Ok(()),
        }
    }
}
