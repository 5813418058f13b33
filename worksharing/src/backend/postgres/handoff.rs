use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::Duration;

use super::address::{Address, Purpose};
use super::socket::InterruptibleClient;
use crate::Error;
use crate::backend::link::Watchdog;
use crate::per_process::PerProcess;
use crate::sync::{Mutex, MutexGuard, lock};

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
    pub(super) fn is_to_make_room(&self) -> bool {
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
    pub(super) fn take(&self) -> Result<Option<InterruptibleClient>, Error> {
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
