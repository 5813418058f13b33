//! The session that holds all of this process's keys, and serves its values where there is no Redis.

mod advisory;
mod batch;
mod board;
mod lease;
mod outbox;
mod pending;
mod prepared;
mod serve;
mod statement;
mod strategy;
mod sweeper;
mod tell;
mod timers;
mod values;
mod watch;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::postgres::Client;

use self::advisory::Advisory;
pub(crate) use self::batch::{Answer, Ask, Put, Wanted};
use self::batch::{Answers, Batch};
use self::board::BoardTable;
use self::lease::{Leases, Taken};
use self::outbox::Outbox;
pub(crate) use self::outbox::{Laid, OutboxAnswer, OutboxAsk};
use self::pending::Pending;
use self::serve::Round;
use self::statement::Statement;
use self::strategy::{LockStrategy, Tried};
use self::tell::Teller;
use self::values::Values;
use self::watch::Watch;
use super::address::{Address, Purpose};
use super::handoff::ProbeHandoff;
use super::listener::Listener;
use super::lock::{KeyTable, SessionNumber};
use super::outbox::Names;
use super::probe;
use super::socket::InterruptibleClient;
use super::table::{Table, advice};
use crate::backend::link::{Link, Protocol, Watchdog};
use crate::changes::Epochs;
use crate::events::RateLimited;
use crate::lock::PostgresLock;
use crate::{Error, ErrorKind};

/// What a session is told by the builder.
pub(crate) struct SessionSettings {
    pub(crate) table: Table,
    pub(crate) lock: PostgresLock,
    /// Whether anybody locks here.
    pub(crate) locks: bool,
    /// Where there is an outbox: its names, and what the table of values is known by there.
    pub(crate) outbox: Option<(Names, String)>,
    pub(crate) idle_disconnect: Duration,
}

/// The protocol of the session.
pub(crate) struct Session {
    address: Arc<Address>,
    table: Table,
    lock: PostgresLock,
    purpose: Purpose,
    pending: Option<Pending>,
    key_table: Arc<KeyTable>,
    listener: Link<Listener>,
    handoff: Arc<ProbeHandoff>,
    epochs: Arc<Epochs>,
    /// What the last session was: one that cannot be told of releases and changes.
    is_deaf: AtomicBool,
    idle_disconnect: Duration,
    taken: Taken,
    number: AtomicU64,
    said: RateLimited,
}

/// An open session.
pub(crate) struct Connection {
    client: InterruptibleClient,
    /// The server's process, or `None` where a pooler may give us another for each statement.
    backend: Option<i32>,
    number: SessionNumber,
    strategy: LockStrategy,
    values: Values,
    outbox: Option<Outbox>,
    teller: Teller,
    board: BoardTable,
    watch: Watch,
    heartbeat: Instant,
    /// Keys that somebody waits for and nobody may try, and when it is listed which of them are free.
    barred: HashSet<i64>,
    list: Instant,
    /// When waiters, heartbeat and tables are looked after next.
    due: Instant,
}

impl Session {
    pub(crate) fn new(
        address: Address,
        settings: SessionSettings,
        key_table: &Arc<KeyTable>,
        epochs: Arc<Epochs>,
    ) -> Self {
        let address = Arc::new(address);
        let handoff = Arc::default();
        let idle_disconnect = settings.idle_disconnect;
        let listener = Listener::new(&address, key_table, &epochs, &handoff, idle_disconnect);
        Self {
            address,
            table: settings.table,
            lock: settings.lock,
            purpose: match (settings.locks, settings.lock) {
                (false, _) => Purpose::Values,
                (true, PostgresLock::Lease) => Purpose::Leases,
                (true, _) => Purpose::Locks,
            },
            pending: settings
                .outbox
                .map(|(names, store)| Pending { names, store }),
            key_table: Arc::clone(key_table),
            listener: Link::new(listener),
            handoff,
            epochs,
            is_deaf: AtomicBool::new(settings.lock == PostgresLock::Lease),
            idle_disconnect,
            taken: Taken::default(),
            number: AtomicU64::new(0),
            said: RateLimited::default(),
        }
    }

    /// Decides how to lock, by looking at what the server can do.
    fn strategy(&self, client: &mut Client, watchdog: &Watchdog) -> Result<LockStrategy, Error> {
        let leases = || Box::new(Leases::new(&self.table, &self.taken));
        if self.lock == PostgresLock::Lease {
            return Ok(LockStrategy::Leases(leases(), None));
        }
        match self.probe(client, watchdog) {
            Ok(()) => {
                watchdog.arm();
                self.listen();
                probe::set_up(client, &self.address)?;
                Ok(LockStrategy::Advisory(Box::<Advisory>::default()))
            }
            Err(error)
                if error.kind() == ErrorKind::Unsuitable && self.lock == PostgresLock::Auto =>
            {
                if self.purpose != Purpose::Values {
                    self.said.say(
                        |_| tracing::warn!(error = %error.chain(), "locking by lease rows instead"),
                    );
                }
                Ok(LockStrategy::Leases(leases(), Some(error)))
            }
            Err(error) => Err(error),
        }
    }

    /// Probes with a second session, which the listener then takes over. While the listener has its own,
    /// that one was probed already.
    fn probe(&self, client: &mut Client, watchdog: &Watchdog) -> Result<(), Error> {
        if self.key_table.is_heard() {
            self.handoff.leave();
            return Ok(());
        }
        let Some(mut other) = self.handoff.open(&self.address, watchdog) else {
            // The server may have room for no more. Then the lock is worth more than the probe.
            self.handoff.leave();
            return Ok(());
        };
        probe::session_locks_work(client, &mut other, &self.address, watchdog)?;
        self.handoff.give(other);
        Ok(())
    }

    /// Whether a session may be of those that hear of releases and changes.
    pub(crate) fn may_hear(&self) -> bool {
        !self.is_deaf.load(Ordering::Relaxed)
    }

    /// Listens, if somebody wants to hear something and this is a server with sessions. Without a session of the locks
    /// the next one does it.
    pub(crate) fn listen(&self) {
        if self.handoff.is_open() && self.listener.protocol().is_needed() {
            self.listener.start();
        }
    }

    /// What a statement gave; its error is an answer, unless the session itself is gone.
    fn settle<T>(
        &self,
        client: &Client,
        done: Result<T, ::postgres::Error>,
    ) -> Result<Result<T, Error>, Error> {
        done.map(Ok).or_else(|error| {
            let gone = client.is_closed() || error.as_db_error().is_none();
            let error = self.address.error(error);
            if gone { Err(error) } else { Ok(Err(error)) }
        })
    }

    /// [`settle`](Self::settle) for a statement about a table of ours: says what is to be done where it is missing.
    fn settle_table<T>(
        &self,
        client: &Client,
        done: Result<T, ::postgres::Error>,
        creation: &str,
    ) -> Result<Result<T, Error>, Error> {
        let advice = done
            .as_ref()
            .err()
            .and_then(|error| advice(error, creation));
        let done = self.settle(client, done)?;
        Ok(match advice {
            Some((kind, advice)) => done.map_err(|error| {
                let advised = Error::new(kind, format!("{} {advice}", self.address.name));
                advised.caused_by(error)
            }),
            None => done,
        })
    }

    /// Gives back keys and interest, and returns those of the keys that were free.
    fn take(
        &self,
        connection: &mut Connection,
        batch: &Batch<'_>,
    ) -> Result<Result<HashSet<i64>, Error>, Error> {
        let Connection {
            client,
            number,
            strategy,
            ..
        } = connection;
        // A key that cannot be given back would be held for as long as the session lives.
        let tried = strategy.release_and_try(client, *number, batch);
        match tried.map_err(|error| self.address.error(error))? {
            Tried::Granted(granted) => Ok(Ok(granted)),
            Tried::Failed(error) => self.settle_table(client, Err(error), strategy.creation()),
            Tried::Full => Ok(Err(Error::unavailable(format!(
                "the lock table of {} is full: raise max_locks_per_transaction there, or lower \
                 Builder::max_held_keys",
                self.address.name
            )))),
            Tried::NotOurs => Err(self
                .address
                .unsuitable("does not hold a lock that it gave this session")),
        }
    }
}

impl Protocol for Session {
    type Connection = Connection;
    type Ask = Ask;
    type Answer = Answer;

    fn name(&self) -> &str {
        &self.address.name
    }

    fn connect(&self, watchdog: &Watchdog) -> Result<Connection, Error> {
        let client = self.address.connect(self.purpose, watchdog);
        let mut client = client.inspect_err(|_| self.handoff.make_room())?;
        let strategy = self.strategy(&mut client, watchdog)?;
        let is_deaf = matches!(strategy, LockStrategy::Leases(..));
        self.is_deaf.store(is_deaf, Ordering::Relaxed);
        if is_deaf && self.purpose == Purpose::Locks {
            client = self.address.connect(Purpose::Leases, watchdog)?;
        }
        watchdog.arm();
        let own_session = matches!(strategy, LockStrategy::Advisory(_));
        let backend = own_session.then(|| probe::backend(&mut client)).transpose();
        let backend = backend.map_err(|error| self.address.error(error))?;
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        self.key_table.connected();
        let statement = Statement { own_session };
        let now = Instant::now();
        Ok(Connection {
            client,
            backend,
            number,
            strategy,
            values: Values::new(&self.table, statement),
            outbox: self
                .pending
                .clone()
                .map(|pending| Outbox::new(pending, statement)),
            teller: Teller::new(own_session),
            board: BoardTable::new(&self.table, statement),
            watch: Watch::default(),
            heartbeat: now + timers::HEARTBEAT,
            barred: HashSet::new(),
            list: now,
            due: now,
        })
    }

    fn serve(
        &self,
        connection: &mut Connection,
        asks: &[Ask],
        watchdog: &Watchdog,
    ) -> Result<Vec<Result<Answer, Error>>, Error> {
        let batch = Batch::sort(asks);
        if batch.run_timers || !batch.mark.is_empty() {
            connection.due = Instant::now();
        }
        let mut round = Round {
            session: self,
            connection,
            watchdog,
            answers: Answers::new(asks.len()),
        };
        round.serve(batch)?;
        Ok(round.answers.finish())
    }

    fn may_send_again(&self, ask: &Ask) -> bool {
        !matches!(ask, Ask::Put(put) if put.fence.is_none())
    }

    fn due(&self, connection: &Connection) -> Instant {
        connection.due
    }

    fn tick(&self, connection: &mut Connection, watchdog: &Watchdog) -> Result<(), Error> {
        watchdog.arm();
        self.run_timers(connection, watchdog)
    }

    fn is_needed(&self) -> bool {
        let is_relied_on = || self.may_hear() && self.epochs.are_wanted();
        self.pending.is_some() || !self.key_table.is_idle() || is_relied_on()
    }

    fn idle_disconnect(&self) -> Duration {
        self.idle_disconnect
    }

    fn close(&self, connection: &mut Connection, _watchdog: &Watchdog) {
        self.handoff.clear();
        if let LockStrategy::Leases(leases, _) = &mut connection.strategy {
            let given_back = leases.give_back(&mut connection.client);
            drop(self.housekeeping(&connection.client, given_back));
        }
    }

    fn lost(&self, _error: &Error) {
        self.handoff.clear();
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(3)
    }

    fn down(&self, error: &Error) {
        self.key_table.down(error);
    }
}
