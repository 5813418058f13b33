use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Ends a step with the server from another thread: whatever waits for the server returns with an error.
pub(crate) trait Interrupt: Send + Sync {
    fn interrupt(&self);
}

/// How long a link may go on without a sign of progress, and how to end that.
#[derive(Default)]
pub(crate) struct Watchdog(Mutex<Watch>);

#[derive(Default)]
struct Watch {
    deadline: Option<Instant>,
    connections: Vec<Weak<dyn Interrupt>>,
}

/// What an answer of the server may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

impl Watchdog {
    /// A step with the server begins, that takes no longer than [`PATIENCE`].
    pub(crate) fn arm(&self) {
        self.arm_for(PATIENCE);
    }

    /// A step with the server begins, that takes no longer than this.
    pub(crate) fn arm_for(&self, patience: Duration) {
        self.watch().deadline = Some(Instant::now() + patience);
    }

    /// A connection that is to be interrupted when a step takes too long, for as long as there is one.
    pub(crate) fn may_interrupt<I: Interrupt + 'static>(&self, connection: &Arc<I>) {
        let connection: Weak<dyn Interrupt> = Arc::downgrade(connection) as _;
        let connections = &mut self.watch().connections;
        connections.retain(|connection| connection.strong_count() > 0);
        connections.push(connection);
    }

    pub(super) fn disarm(&self) {
        self.watch().deadline = None;
    }

    /// The connections to interrupt, if a step has taken too long. Says so once.
    pub(super) fn take_overdue(&self) -> Option<Vec<Weak<dyn Interrupt>>> {
        let mut watch = self.watch();
        watch
            .deadline
            .take_if(|deadline| *deadline < Instant::now())?;
        Some(std::mem::take(&mut watch.connections))
    }

    /// Interrupts what is under way.
    #[cfg(feature = "postgres")]
    pub(crate) fn interrupt(&self) {
        let connections = std::mem::take(&mut self.watch().connections);
        let live = connections.iter().filter_map(Weak::upgrade);
        live.for_each(|connection| connection.interrupt());
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
