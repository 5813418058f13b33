use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use ::postgres::fallible_iterator::FallibleIterator as _;
use ::postgres::{Client, Notification};

use super::address::{Address, Purpose};
use super::changes;
use super::lock::KeyTable;
use super::probe;
use super::socket::InterruptibleClient;
use crate::Error;
use crate::backend::link::{Protocol, Watchdog};
use crate::changes::Epochs;
use crate::per_process::PerProcess;
use crate::sync::{Mutex, MutexGuard, lock};

/// Where releases are told, with the lock key as payload. Of each database its own.
pub(crate) const CHANNEL: &str = "worksharing";

/// The session that the probe opens beside the lock's, for the listener to use, if it soon has something to listen for.
/// While the lock's is not there, the listener opens none of its own: a process never has three.
#[derive(Default)]
pub(crate) struct ProbeHandoff {
    /// A forked child has no right to its parent's.
    beside: PerProcess<Mutex<Beside>>,
    /// Interrupts whoever opens a session.
    opening: Mutex<Weak<Watchdog>>,
    /// The lock's session finds no room: the listener's is to go.
    makes_room: AtomicBool,
}

#[derive(Default)]
enum Beside {
    /// There is no session of the lock.
    #[default]
    Nothing,
    Probed(Box<InterruptibleClient>),
    Session,
}

/// How long the lock's session waits for the one that it is to be probed with: a pooler that has no more lets its
/// clients wait.
const SECOND: Duration = Duration::from_millis(1_500);

impl ProbeHandoff {
    fn beside(&self) -> MutexGuard<'_, Beside> {
        lock(self.beside.get(Mutex::default))
    }

    /// Opens the second session, if the server soon has room for it.
    pub(crate) fn open(
        &self,
        address: &Arc<Address>,
        watchdog: &Watchdog,
    ) -> Option<InterruptibleClient> {
        let mut opening = lock(&self.opening);
        if let Some(opening) = opening.upgrade() {
            // The last attempt has not ended yet.
            opening.interrupt();
            return None;
        }
        let (address, own) = (Arc::clone(address), Arc::<Watchdog>::default());
        *opening = Arc::downgrade(&own);
        let (sender, receiver) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("worksharing probe".to_owned());
        watchdog.arm();
        // Comes it too late, it is closed.
        let opened =
            thread.spawn(move || drop(sender.send(address.connect(Purpose::Listener, &own))));
        let second = opened.ok().and_then(|_| receiver.recv_timeout(SECOND).ok());
        watchdog.arm();
        if let Some(late) = opening.upgrade().filter(|_| second.is_none()) {
            late.interrupt();
        }
        let second = second?.ok()?;
        watchdog.may_interrupt(&second.stop);
        Some(second)
    }

    /// The lock's session could not be opened. The listener's may have the only place that there is.
    pub(crate) fn make_room(&self) {
        self.makes_room.store(true, Ordering::Relaxed);
    }

    /// Whether the listener's session is to go.
    fn is_to_make_room(&self) -> bool {
        self.makes_room.swap(false, Ordering::Relaxed)
    }

    /// The probe's session, which the listener is to use.
    pub(crate) fn give(&self, client: InterruptibleClient) {
        self.replace(Beside::Probed(Box::new(client)));
    }

    /// The lock's session is there, and the listener may connect by itself.
    pub(crate) fn leave(&self) {
        self.replace(Beside::Session);
    }

    /// The lock's session is gone.
    pub(crate) fn clear(&self) {
        self.replace(Beside::Nothing);
    }

    /// Whether there is a session of the lock, of which it is known that it is one.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(*self.beside(), Beside::Nothing)
    }

    /// Closes the probe's session if the listener has had no use for it.
    pub(crate) fn close_spare(&self) {
        if matches!(*self.beside(), Beside::Probed(_)) {
            self.replace(Beside::Session);
        }
    }

    /// The client that was there takes its leave of the server, and nobody waits for that.
    fn replace(&self, by: Beside) {
        let old = std::mem::replace(&mut *self.beside(), by);
        drop(old);
    }

    /// The probe's session or, where the lock's has outlived it, leave to connect.
    fn take(&self) -> Result<Option<InterruptibleClient>, Error> {
        let mut beside = self.beside();
        match std::mem::replace(&mut *beside, Beside::Session) {
            Beside::Probed(client) if !client.is_closed() => Ok(Some(*client)),
            Beside::Probed(_) | Beside::Session => Ok(None),
            Beside::Nothing => {
                *beside = Beside::Nothing;
                Err(Error::unavailable("the session of the locks comes first"))
            }
        }
    }
}

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
