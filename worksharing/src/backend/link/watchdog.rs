use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Ends a step with the server from another thread: whatever waits for the server returns with an error.
pub(crate) trait Interrupt: Send + Sync {
    fn interrupt(&self);

    /// A number that changes when something is sent or received, where that can be seen.
    fn progress(&self) -> u64 {
        0
    }
}

/// How long a link may go on without a sign of progress, and how to end that.
#[derive(Default)]
pub(crate) struct Watchdog(Mutex<Watch>);

#[derive(Default)]
struct Watch {
    deadline: Option<Instant>,
    /// Until when the deadline is put off whenever something was sent or received, and what was by then.
    moving: Option<Moving>,
    connections: Vec<Weak<dyn Interrupt>>,
}

#[derive(Clone, Copy)]
struct Moving {
    patience: Duration,
    until: Instant,
    progress: u64,
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
        let mut watch = self.watch();
        watch.deadline = Some(Instant::now() + patience);
        watch.moving = None;
    }

    /// A step with the server begins that may be large: it may take `total`, as long as nothing is silent for longer
    /// than `silence`.
    #[cfg(feature = "postgres")]
    pub(crate) fn arm_while_moving(&self, silence: Duration, total: Duration) {
        let mut watch = self.watch();
        let now = Instant::now();
        watch.deadline = Some(now + silence);
        watch.moving = Some(Moving {
            patience: silence,
            until: now + total,
            progress: watch.progress(),
        });
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
        let now = Instant::now();
        watch.deadline.take_if(|deadline| *deadline < now)?;
        if watch.has_moved(now) {
            return None;
        }
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

impl Watch {
    fn progress(&self) -> u64 {
        let live = self.connections.iter().filter_map(Weak::upgrade);
        live.map(|connection| connection.progress())
            .fold(0, u64::wrapping_add)
    }

    /// Puts the deadline off if something was sent or received since it was set.
    fn has_moved(&mut self, now: Instant) -> bool {
        let progress = self.progress();
        let Some(moving) = &mut self.moving else {
            return false;
        };
        let has_moved = now < moving.until && moving.progress != progress;
        if has_moved {
            moving.progress = progress;
            self.deadline = Some(now + moving.patience);
        }
        has_moved
    }
}
