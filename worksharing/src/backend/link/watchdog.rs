use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::background;

/// Ends a step with the server from another thread: whatever waits for the server returns with an error.
pub(crate) trait Interrupt: Send + Sync {
    fn interrupt(&self);

    /// A number that changes when something is sent or received, where that can be seen.
    fn progress(&self) -> u64 {
        0
    }
}

/// What is told when a step has taken too long.
pub(super) trait Watched: Send + Sync {
    /// Looks whether it has. The look was due then.
    fn look_after(&self, due: Instant);
}

/// How long a link may go on without a sign of progress, and how to end that.
///
/// While it is armed the link is looked after when the time has run out. That is one timer for many steps: one that
/// comes too early is set anew then, and an idle link has none.
#[derive(Default)]
pub(crate) struct Watchdog {
    link: Option<Weak<dyn Watched>>,
    watch: Mutex<Watch>,
}

#[derive(Default)]
struct Watch {
    deadline: Option<Instant>,
    /// The deadline has passed: the step has a little more time.
    is_in_grace: bool,
    /// Until when the deadline is put off whenever something was sent or received, and what was by then.
    moving: Option<Moving>,
    connections: Vec<Weak<dyn Interrupt>>,
    /// When the link is looked after next.
    looks_at: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Moving {
    patience: Duration,
    until: Instant,
    progress: u64,
}

/// What an answer of the server may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// For so long the process must have run since the deadline before a step is called overdue. Where the whole process
/// was stopped, the answer may be there when it goes on.
const GRACE: Duration = Duration::from_millis(250);

impl Watchdog {
    /// Of this link.
    pub(super) fn of(link: Weak<dyn Watched>) -> Self {
        Self {
            link: Some(link),
            watch: Mutex::default(),
        }
    }

    /// A step with the server begins, that takes no longer than [`PATIENCE`].
    pub(crate) fn arm(&self) {
        self.arm_for(PATIENCE);
    }

    /// A step with the server begins, that takes no longer than this.
    pub(crate) fn arm_for(&self, patience: Duration) {
        self.update(|watch, now| {
            watch.moving = None;
            watch.allow(now + patience);
        });
    }

    /// A step with the server begins that may be large: it may take `total`, as long as nothing is silent for longer
    /// than `silence`.
    #[cfg(feature = "postgres")]
    pub(crate) fn arm_while_moving(&self, silence: Duration, total: Duration) {
        self.update(|watch, now| {
            watch.moving = Some(Moving {
                patience: silence,
                until: now + total,
                progress: watch.progress(),
            });
            watch.allow(now + silence);
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
    pub(super) fn take_overdue(&self, due: Instant) -> Option<Vec<Weak<dyn Interrupt>>> {
        self.update(|watch, now| {
            watch.looks_at.take_if(|looks_at| *looks_at == due);
            let is_overdue = watch.is_overdue(now);
            is_overdue.then(|| std::mem::take(&mut watch.connections))
        })
    }

    /// Sees to it, too, that the link is looked after in time.
    fn update<T>(&self, update: impl FnOnce(&mut Watch, Instant) -> T) -> T {
        let mut watch = self.watch();
        let now = Instant::now();
        let updated = update(&mut watch, now);
        let look = watch.next_look();
        drop(watch);
        if let (Some(due), Some(link)) = (look, &self.link) {
            let link = Weak::clone(link);
            let look = move || {
                let link = link.upgrade().into_iter();
                link.for_each(|link| link.look_after(due));
            };
            background::after(due.saturating_duration_since(now), look);
        }
        updated
    }

    /// Interrupts what is under way.
    #[cfg(feature = "postgres")]
    pub(crate) fn interrupt(&self) {
        let connections = std::mem::take(&mut self.watch().connections);
        let live = connections.iter().filter_map(Weak::upgrade);
        live.for_each(|connection| connection.interrupt());
    }

    #[cfg(test)]
    pub(super) fn looks_at(&self) -> Option<Instant> {
        self.watch().looks_at
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    fn allow(&mut self, until: Instant) {
        self.deadline = Some(until);
        self.is_in_grace = false;
    }

    /// When somebody must look who would not otherwise, and will now.
    fn next_look(&mut self) -> Option<Instant> {
        let deadline = self.deadline?;
        if self.looks_at.is_some_and(|looks_at| looks_at <= deadline) {
            return None;
        }
        self.looks_at = Some(deadline);
        self.looks_at
    }

    /// Whether the time has run out, for a step that was given more, too. Says so once.
    fn is_overdue(&mut self, now: Instant) -> bool {
        let Some(deadline) = self.deadline.filter(|deadline| *deadline <= now) else {
            return false;
        };
        if self.has_moved(now) {
            return false;
        }
        let process_was_late = now - deadline > GRACE;
        if self.is_in_grace && !process_was_late {
            self.deadline = None;
            return true;
        }
        self.allow(now + GRACE);
        self.is_in_grace = true;
        false
    }

    fn progress(&self) -> u64 {
        let live = self.connections.iter().filter_map(Weak::upgrade);
        live.map(|connection| connection.progress())
            .fold(0, u64::wrapping_add)
    }

    /// Puts the deadline off if something was sent or received since it was set.
    fn has_moved(&mut self, now: Instant) -> bool {
        let progress = self.progress();
        let Some(moving) = self.moving.as_mut() else {
            return false;
        };
        let has_moved = now < moving.until && moving.progress != progress;
        if has_moved {
            moving.progress = progress;
            let until = now + moving.patience;
            self.allow(until);
        }
        has_moved
    }
}

#[cfg(test)]
mod tests;
