use std::io;
use std::time::{Duration, Instant};

use super::socket::SILENCE;
use crate::backend::link::Watchdog;

/// The time that a batch may take: by what has come about of it. So a byte now and then holds nobody for long, and
/// a large value over a slow line has its time.
pub(super) struct Pace<'a> {
    watchdog: &'a Watchdog,
    begun: Instant,
    moved: u32,
}

/// As slow as this a line may be.
const BYTES_PER_SECOND: u32 = 256 * 1024;

impl<'a> Pace<'a> {
    pub(super) fn new(watchdog: &'a Watchdog) -> Self {
        Self {
            watchdog,
            begun: Instant::now(),
            moved: 0,
        }
    }

    pub(super) fn moved(&mut self, bytes: usize) -> io::Result<()> {
        // The socket's own time limits come first.
        self.watchdog.arm_for(SILENCE * 2);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.moved = self.moved.saturating_add(bytes);
        let time = Duration::from_secs_f64(f64::from(self.moved) / f64::from(BYTES_PER_SECOND));
        if self.begun.elapsed() > SILENCE + time {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "answers come too slowly",
            ));
        }
        Ok(())
    }
}
