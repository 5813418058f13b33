//! The PostgreSQL server: one session for locks and values, one for notifications.
//!
//! What this process holds and waits for is in `lock`, what is said to the server in `session`; a session knows the
//! first, and nothing there knows a session.

mod address;
mod board;
mod changes;
mod handoff;
mod listener;
pub(crate) mod lock;
pub(crate) mod outbox;
mod probe;
pub(crate) mod session;
pub(crate) mod socket;
mod store;
mod table;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::address::Address;
#[cfg(test)]
pub(crate) use self::address::Purpose;
use self::lock::KeyTable;
use self::outbox::Names;
use self::session::{Ask, Session, SessionSettings};
pub use self::store::Postgres as PostgresStore;
use self::table::Table;
use crate::backend::link::Link;
use crate::backend::tls;
use crate::changes::Epochs;
use crate::lock::PostgresLock;
use crate::namespace::Namespace;
use crate::outbox::StoreId;
use crate::{BoxFuture, Error};

/// What a [`Server`] is told by the builder.
pub(crate) struct Settings<'a> {
    pub(crate) url: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) table: &'a str,
    pub(crate) max_held_keys: usize,
    /// How keys are locked here; where none are, whether it is to have sessions.
    pub(crate) lock: PostgresLock,
    /// Whether keys are locked here.
    pub(crate) locks: bool,
    pub(crate) idle_disconnect: Duration,
    /// Where there is an outbox: its names, and what is put before texts.
    pub(crate) outbox: Option<(Names, Namespace)>,
    /// Where it is noted what was heard of changes.
    pub(crate) epochs: Arc<Epochs>,
}

/// By what the server of this URL is told from other lock servers.
///
/// # Errors
/// As of a runtime that is built with it.
pub(crate) fn identity(url: &str) -> Result<String, Error> {
    Ok(Address::parse(url, tls::BUILT_IN)?.identity())
}

/// A PostgreSQL server with this process's two sessions on it, shared by the lock and the store.
pub(crate) struct Server {
    session: Link<Session>,
    key_table: Arc<KeyTable>,
    prefix: String,
    database: String,
    /// Of what is looked up in the outbox, where there is one.
    namespace: Option<Namespace>,
}

impl Server {
    pub(crate) fn new(settings: Settings<'_>) -> Result<Arc<Self>, Error> {
        let address = Address::parse(settings.url, tls::BUILT_IN)?;
        let table = Table::parse(settings.table)?;
        let database = address.database();
        let key_table = KeyTable::new(settings.max_held_keys);
        let namespace = settings.outbox.as_ref().map(|outbox| outbox.1.clone());
        let outbox = settings
            .outbox
            .map(|(names, namespace)| (names, StoreId::values().of(&namespace)));
        let of_session = SessionSettings {
            table,
            lock: settings.lock,
            locks: settings.locks,
            outbox,
            idle_disconnect: settings.idle_disconnect,
        };
        let session = Session::new(address, of_session, &key_table, settings.epochs);
        Ok(Arc::new(Self {
            session: Link::new(session),
            key_table,
            prefix: settings.prefix.to_owned(),
            database,
            namespace,
        }))
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.session.flush(|| Ask::Flush))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session.fmt(f)
    }
}
