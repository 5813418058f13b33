use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::postgres::Client;
use ::postgres::fallible_iterator::FallibleIterator as _;

use super::probe;
use super::server::Address;
use super::socket::InterruptibleClient;
use crate::Error;
use crate::backend::link::{Protocol, Watchdog};
use crate::backend::postgres::lock::KeyTable;
use crate::sync::{Mutex, MutexGuard, lock};

/// Where releases are told, with the lock key as payload. Of each database its own.
pub(crate) const CHANNEL: &str = "worksharing";

/// The client that the probe opens beside the lock's session, for the listener to use. While that session is
/// not there, the listener opens none of its own: a process never has three.
#[derive(Clone, Default)]
pub(crate) struct Spare(Arc<Mutex<Beside>>);

#[derive(Default)]
enum Beside {
    /// There is no session of the lock.
    #[default]
    Nothing,
    Probed(Box<InterruptibleClient>),
    Session,
}

impl Spare {
    fn beside(&self) -> MutexGuard<'_, Beside> {
        lock(&self.0)
    }

    /// The probe's client, which the listener is to use.
    pub(crate) fn give(&self, client: InterruptibleClient) {
        *self.beside() = Beside::Probed(Box::new(client));
    }

    /// The lock's session is there, and the listener may connect by itself.
    pub(crate) fn leave(&self) {
        *self.beside() = Beside::Session;
    }

    /// The lock's session is gone.
    pub(crate) fn clear(&self) {
        *self.beside() = Beside::Nothing;
    }

    /// The probe's client or, where the session has outlived it, leave to connect.
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

/// The protocol of the session that hears of releases. Nothing is asked of it.
pub(crate) struct Listener {
    address: Arc<Address>,
    key_table: Arc<KeyTable>,
    spare: Spare,
    listening: AtomicBool,
}

/// A listening session.
pub(crate) struct Listening {
    client: InterruptibleClient,
    heartbeat: Instant,
}

/// Notifications do not count as activity for `idle_session_timeout`.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// So long the thread listens before it looks whether the runtime is gone.
const LISTEN: Duration = Duration::from_millis(500);

impl Listener {
    pub(crate) fn new(address: &Arc<Address>, key_table: &Arc<KeyTable>, spare: &Spare) -> Self {
        Self {
            address: Arc::clone(address),
            key_table: Arc::clone(key_table),
            spare: spare.clone(),
            listening: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Acquire)
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
        let mut client = match self.spare.take()? {
            Some(client) => {
                watchdog.may_interrupt(&client.stop);
                client
            }
            None => self.address.connect(watchdog)?,
        };
        probe::set_up(&mut client, &self.address)?;
        let listen = format!("LISTEN {CHANNEL}");
        client
            .batch_execute(&listen)
            .map_err(|error| self.address.error(error))?;
        self.listening.store(true, Ordering::Release);
        // Whatever was told while nobody listened is lost: let everybody look.
        self.key_table.wake_all();
        Ok(Listening {
            client,
            heartbeat: Instant::now() + HEARTBEAT,
        })
    }

    fn serve(
        &self,
        _connection: &mut Listening,
        asks: &[Self::Ask],
        _pulse: &Watchdog,
    ) -> Result<Vec<Result<Self::Answer, Error>>, Error> {
        Ok(asks.iter().map(|ask| match *ask {}).collect())
    }

    fn due(&self, _connection: &Listening) -> Instant {
        Instant::now()
    }

    fn tick(&self, connection: &mut Listening, watchdog: &Watchdog) -> Result<(), Error> {
        let Listening { client, heartbeat } = connection;
        if *heartbeat <= Instant::now() {
            watchdog.arm();
            probe::not_in_recovery(client, &self.address)?;
            *heartbeat = Instant::now() + HEARTBEAT;
        }
        self.hear(client, watchdog)?;
        if client.is_closed() {
            return Err(Error::unavailable(format!(
                "{} closed the connection",
                self.address.name
            )));
        }
        Ok(())
    }

    fn lost(&self, _error: &Error) {
        self.listening.store(false, Ordering::Release);
    }

    fn grace(&self) -> Duration {
        Duration::ZERO
    }
}

impl Listener {
    /// Passes on what is heard, until it has been silent for a while.
    fn hear(&self, client: &mut Client, watchdog: &Watchdog) -> Result<(), Error> {
        watchdog.arm();
        let mut notifications = client.notifications();
        let mut heard = notifications.timeout_iter(LISTEN);
        while let Some(notification) = heard.next().map_err(|error| self.address.error(error))? {
            watchdog.arm();
            if let Ok(key) = notification.payload().parse() {
                self.key_table.released(key);
            }
        }
        Ok(())
    }
}
