use std::sync::Arc;
use std::time::{Duration, Instant};

use ::postgres::fallible_iterator::FallibleIterator as _;
use ::postgres::{Client, Notification};

use super::address::{Address, Purpose};
use super::changes;
use super::handoff::ProbeHandoff;
use super::lock::KeyTable;
use super::probe;
use super::socket::InterruptibleClient;
use crate::Error;
use crate::backend::link::{Protocol, Watchdog};
use crate::changes::Epochs;

/// Where releases are told, with the lock key as payload. Of each database its own.
pub(crate) const CHANNEL: &str = "worksharing";

/// The protocol of the session that hears of releases while somebody waits, and of changes while somebody relies on that.
/// Nothing is asked of it.
pub(crate) struct Listener {
    address: Arc<Address>,
    key_table: Arc<KeyTable>,
    epochs: Arc<Epochs>,
    handoff: Arc<ProbeHandoff>,
    idle_disconnect: Duration,
}

/// A listening session.
pub(crate) struct Listening {
    client: InterruptibleClient,
    hears_changes: bool,
    heartbeat: Instant,
}

/// Notifications do not count as activity for `idle_session_timeout`.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// While somebody relies on hearing of changes: twice in the time that its last answer counts for.
const RELIED_ON: Duration = Duration::from_millis(400);
/// So long the thread listens before it looks whether the runtime is gone.
const LISTEN: Duration = Duration::from_millis(500);

/// So long it goes on listening when nobody wants to hear anything any more: a NOTIFY wakes all who listen, and to begin
/// again takes a connection.
const LINGERS: Duration = Duration::from_secs(30);

impl Listener {
    pub(crate) fn new(
        address: &Arc<Address>,
        key_table: &Arc<KeyTable>,
        epochs: &Arc<Epochs>,
        handoff: &Arc<ProbeHandoff>,
        idle_disconnect: Duration,
    ) -> Self {
        Self {
            address: Arc::clone(address),
            key_table: Arc::clone(key_table),
            epochs: Arc::clone(epochs),
            handoff: Arc::clone(handoff),
            idle_disconnect: idle_disconnect.min(LINGERS),
        }
    }

    /// Nothing is heard any more.
    fn deaf(&self) {
        self.key_table.heard(false);
        self.epochs.deaf();
    }

    fn execute(&self, client: &mut Client, command: &str) -> Result<(), Error> {
        let done = client.batch_execute(command);
        done.map_err(|error| self.address.error(error))
    }

    /// Looks whether the server is still there. What it had to tell before is noted before that counts.
    fn beat(&self, connection: &mut Listening) -> Result<(), Error> {
        let client = &mut connection.client;
        let asked = Instant::now();
        let begins = !connection.hears_changes && self.epochs.are_wanted();
        if begins {
            self.execute(client, &format!("LISTEN {}", changes::CHANNEL))?;
            connection.hears_changes = true;
            self.epochs.listening(asked);
        }
        probe::not_in_recovery(client, &self.address)?;
        let mut queued = client.notifications();
        let number = queued.len();
        let mut queued = queued.iter();
        for _ in 0..number {
            let heard = queued.next().map_err(|error| self.address.error(error))?;
            heard.iter().for_each(|heard| self.pass_on(heard));
        }
        if connection.hears_changes {
            self.epochs.confirmed(asked);
        }
        connection.heartbeat = asked + HEARTBEAT;
        Ok(())
    }

    /// When the server is looked at next.
    fn next_beat(&self, connection: &Listening) -> Instant {
        match (self.epochs.are_wanted(), connection.hears_changes) {
            (true, true) => connection.heartbeat - (HEARTBEAT - RELIED_ON),
            (true, false) => Instant::now(),
            (false, _) => connection.heartbeat,
        }
    }

    /// Passes on what is heard, for a while: however much that is, a heartbeat and the end come in time.
    fn hear(&self, client: &mut Client, until: Instant) -> Result<(), Error> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mut notifications = client.notifications();
            let heard = notifications.timeout_iter(left).next();
            let Some(heard) = heard.map_err(|error| self.address.error(error))? else {
                return Ok(());
            };
            self.pass_on(&heard);
            if left.is_zero() {
                return Ok(());
            }
        }
    }

    fn pass_on(&self, heard: &Notification) {
        if heard.channel() == CHANNEL {
            if let Ok(key) = heard.payload().parse() {
                self.key_table.released(key);
            }
        } else if let Some(digests) = changes::digests(heard.payload()) {
            self.epochs.changed(&digests);
        }
    }
}

impl Protocol for Listener {
    type Connection = Listening;
    type Ask = std::convert::Infallible;
    type Answer = std::convert::Infallible;

    fn name(&self) -> &str {
        &self.address.name
    }

    fn connect(&self, watchdog: &Watchdog) -> Result<Listening, Error> {
        let taken = self.handoff.take()?;
        // What was asked of the session before.
        self.handoff.is_to_make_room();
        let mut client = match taken {
            Some(client) => {
                watchdog.may_interrupt(&client.stop);
                client
            }
            None => self.address.connect(Purpose::Listener, watchdog)?,
        };
        probe::set_up(&mut client, &self.address)?;
        self.execute(&mut client, &format!("LISTEN {CHANNEL}"))?;
        self.key_table.heard(true);
        Ok(Listening {
            client,
            hears_changes: false,
            heartbeat: Instant::now() + HEARTBEAT,
        })
    }

    fn serve(
        &self,
        _connection: &mut Listening,
        asks: &[Self::Ask],
        _watchdog: &Watchdog,
    ) -> Result<Vec<Result<Self::Answer, Error>>, Error> {
        Ok(asks.iter().map(|ask| match *ask {}).collect())
    }

    fn due(&self, _connection: &Listening) -> Instant {
        Instant::now()
    }

    fn tick(&self, connection: &mut Listening, watchdog: &Watchdog) -> Result<(), Error> {
        if self.handoff.is_to_make_room() {
            return Err(Error::unavailable("the session of the locks comes first"));
        }
        if self.next_beat(connection) <= Instant::now() {
            watchdog.arm();
            self.beat(connection)?;
        }
        watchdog.arm();
        let until = Instant::now() + LISTEN;
        let until = until.min(self.next_beat(connection));
        let client = &mut connection.client;
        self.hear(client, until)?;
        if client.is_closed() {
            return Err(Error::unavailable(format!(
                "{} closed the connection",
                self.address.name
            )));
        }
        Ok(())
    }

    fn is_needed(&self) -> bool {
        self.key_table.waits_since().is_some() || self.epochs.are_wanted()
    }

    fn idle_disconnect(&self) -> Duration {
        self.idle_disconnect
    }

    fn close(&self, _connection: &mut Listening, _watchdog: &Watchdog) {
        self.deaf();
    }

    fn lost(&self, _error: &Error) {
        self.deaf();
    }

    fn grace(&self) -> Duration {
        Duration::ZERO
    }
}
