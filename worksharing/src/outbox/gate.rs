use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use crate::background::until;
use crate::sync::{Mutex, lock};

/// Keeps the first looks of a process until what was committed before is laid.
#[derive(Debug, Default)]
pub(super) struct Gate {
    is_open: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Until when the first looks wait.
    until: Option<Instant>,
    looks: Vec<oneshot::Sender<()>>,
}

/// The outbox must not hold anybody up for longer.
const MOST: Duration = Duration::from_secs(1);

impl Gate {
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Lets all looks pass, those that wait and those that come.
    pub(super) fn open(&self) {
        let mut waiting = lock(&self.waiting);
        self.is_open.store(true, Ordering::Release);
        let looks = std::mem::take(&mut waiting.looks);
        drop(waiting);
        for look in looks {
            // Whoever waited may have gone.
            let _ = look.send(());
        }
    }

    /// Waits until it opens, but not beyond its time. Returns whether it is open.
    pub(super) async fn wait(&self) -> bool {
        let Some((opened, deadline)) = self.enter() else {
            return true;
        };
        if deadline <= Instant::now() {
            return false;
        }
        until(pin!(opened), Some(deadline)).await.is_some()
    }

    fn enter(&self) -> Option<(oneshot::Receiver<()>, Instant)> {
        let mut waiting = lock(&self.waiting);
        if self.is_open() {
            return None;
        }
        let now = Instant::now();
        let deadline = *waiting.until.get_or_insert(now + MOST);
        let (look, opened) = oneshot::channel();
        if now < deadline {
            waiting.looks.push(look);
        }
        Some((opened, deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::block_on;

    #[test]
    fn it_keeps_the_first_looks_for_a_second_at_most() {
        let gate = Gate::default();
        let begun = Instant::now();
        assert!(!block_on(gate.wait()));
        assert!(begun.elapsed() >= MOST);
        // And nobody again.
        let begun = Instant::now();
        assert!(!block_on(gate.wait()));
        assert!(begun.elapsed() < MOST / 2);
        gate.open();
        assert!(block_on(gate.wait()));
    }

    #[test]
    fn it_lets_those_pass_who_wait_when_it_opens() {
        let gate = Gate::default();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let look = scope.spawn(|| block_on(gate.wait()));
            while lock(&gate.waiting).looks.is_empty() {
                std::thread::yield_now();
            }
            gate.open();
            assert!(look.join().unwrap());
        });
        assert!(begun.elapsed() < MOST);
    }
}
