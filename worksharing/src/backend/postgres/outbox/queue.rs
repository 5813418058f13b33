use std::fmt;
use std::sync::Arc;

use crate::Error;
use crate::backend::postgres::Server;
use crate::backend::postgres::session::{Answer, Ask, Laid, OutboxAnswer, OutboxAsk};
use crate::outbox::{Row, Text};

/// The outbox, as whoever consumes it sees it. Each step is a statement by itself, over the session of the locks.
pub(crate) struct Queue {
    server: Arc<Server>,
}

impl Queue {
    pub(crate) fn new(server: &Arc<Server>) -> Self {
        let server = Arc::clone(server);
        Self { server }
    }

    async fn ask(&self, ask: OutboxAsk) -> Result<OutboxAnswer, Error> {
        let patiently = matches!(ask, OutboxAsk::Check);
        match self
            .server
            .session
            .answer(Ask::Outbox(ask), patiently)
            .await?
        {
            Answer::Outbox(answer) => Ok(answer),
            other => Err(unexpected(&other)),
        }
    }

    async fn is(&self, ask: OutboxAsk) -> Result<bool, Error> {
        match self.ask(ask).await? {
            OutboxAnswer::Is(is) => Ok(is),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes the tables and the functions, where they are missing.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        self.ask(OutboxAsk::Check).await.map(drop)
    }

    /// From now on every row is for this store, too. Returns whether it was not known.
    pub(crate) async fn register(&self, store: &str) -> Result<bool, Error> {
        self.is(OutboxAsk::Register(store.to_owned())).await
    }

    /// What was this store is no more.
    pub(crate) async fn forget(&self, store: &str) -> Result<(), Error> {
        self.ask(OutboxAsk::Forget(store.to_owned()))
            .await
            .map(drop)
    }

    /// Whether this process is the one that looks after a store, from now on for a while.
    pub(crate) async fn claim(&self, store: &str, by: i64) -> Result<bool, Error> {
        let store = store.to_owned();
        self.is(OutboxAsk::Claim { store, by }).await
    }

    /// Leaves the store to others. It is not waited for.
    pub(crate) fn release(&self, store: &str, by: i64) {
        let store = store.to_owned();
        let release = OutboxAsk::Release { store, by };
        self.server.session.ask(Ask::Outbox(release), |_| ());
    }

    /// The number of the last row that is to be laid in a store; zero if there is none.
    pub(crate) async fn last(&self, store: &str) -> Result<i64, Error> {
        match self.ask(OutboxAsk::Last(store.to_owned())).await? {
            OutboxAnswer::Last(last) => Ok(last),
            other => Err(unexpected(&other)),
        }
    }

    /// Whether any row up to this one is still to be laid in a store.
    pub(crate) async fn has_until(&self, store: &str, last: i64) -> Result<bool, Error> {
        let store = store.to_owned();
        self.is(OutboxAsk::HasUntil { store, last }).await
    }

    /// The next rows after this one that are to be laid in a store: of these texts, or of any if there are none.
    pub(crate) async fn take(
        &self,
        store: &str,
        after: i64,
        texts: Vec<Text>,
    ) -> Result<Vec<Row>, Error> {
        let store = store.to_owned();
        let take = OutboxAsk::Take {
            store,
            after,
            texts,
        };
        match self.ask(take).await? {
            OutboxAnswer::Rows(rows) => Ok(rows),
            other => Err(unexpected(&other)),
        }
    }

    /// These rows are laid in a store.
    pub(crate) async fn done(&self, store: &str, rows: Vec<i64>) -> Result<(), Error> {
        let store = store.to_owned();
        self.ask(OutboxAsk::Done { store, rows }).await.map(drop)
    }

    /// Lays entries in the table of values, each if one of its rows is not done yet, and has done with those rows: one
    /// step, so that each is laid once however many try.
    pub(crate) async fn lay(&self, store: &str, entries: Vec<Laid>) -> Result<(), Error> {
        let store = store.to_owned();
        self.ask(OutboxAsk::Lay { store, entries }).await.map(drop)
    }

    /// Writes a row.
    pub(crate) async fn add(&self, text: Text) -> Result<(), Error> {
        self.ask(OutboxAsk::Add(text)).await.map(drop)
    }

    /// What an entry stands under in the table of values.
    pub(crate) fn value_key(&self, key: &crate::Key) -> String {
        key.hex_after(&self.server.prefix)
    }
}

fn unexpected(answer: &impl fmt::Debug) -> Error {
    Error::unavailable(format!("the outbox was answered by {answer:?}"))
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)
    }
}
