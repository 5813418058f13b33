//! What happened in the herd, and when.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The clock that all processes of a machine share.
pub(crate) fn now_us(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}

/// What happened to one caller, in microseconds.
#[derive(Clone, Default)]
pub(crate) struct Caller {
    pub(crate) called: Option<u64>,
    pub(crate) begun: Option<u64>,
    pub(crate) ended: Option<u64>,
    pub(crate) served: Option<(u64, String)>,
}

/// All of it: the callers of each process.
pub(crate) struct Record {
    pub(crate) processes: Vec<Vec<Caller>>,
    pub(crate) degraded: u64,
}

impl Record {
    pub(crate) fn new(processes: usize, callers: usize) -> Self {
        let callers = || (0..callers).map(|_| Caller::default()).collect();
        Self {
            processes: (0..processes).map(|_| callers()).collect(),
            degraded: 0,
        }
    }

    /// Takes a line that a process told.
    pub(crate) fn take(&mut self, process: usize, line: &str) {
        let mut words = line.splitn(4, ' ');
        let (Some(what), Some(caller), Some(at)) = (words.next(), words.next(), words.next())
        else {
            return;
        };
        let more = words.next().unwrap_or_default();
        let (Ok(caller), Ok(at)) = (caller.parse::<usize>(), at.parse()) else {
            return;
        };
        let Some(caller) = self
            .processes
            .get_mut(process)
            .and_then(|callers| callers.get_mut(caller))
        else {
            return;
        };
        match what {
            "calls" => caller.called = Some(at),
            "begins" => caller.begun = Some(at),
            "ends" => caller.ended = Some(at),
            "served" => caller.served = Some((at, more.to_owned())),
            "done" => self.degraded += more.parse().unwrap_or(0),
            _ => {}
        }
    }

    pub(crate) fn callers(&self) -> impl Iterator<Item = &Caller> {
        self.processes.iter().flatten()
    }

    /// How often the body ran.
    pub(crate) fn executions(&self) -> usize {
        self.callers()
            .filter(|caller| caller.begun.is_some())
            .count()
    }

    /// How many callers have an answer.
    pub(crate) fn served(&self) -> usize {
        self.callers()
            .filter(|caller| caller.served.is_some())
            .count()
    }

    /// Whether everybody got the same answer.
    pub(crate) fn agrees(&self) -> bool {
        let mut answers = self
            .callers()
            .filter_map(|caller| caller.served.as_ref().map(|served| &served.1));
        answers
            .next()
            .is_some_and(|first| answers.all(|answer| answer == first))
    }

    /// When the first caller called.
    pub(crate) fn start(&self) -> u64 {
        self.callers()
            .filter_map(|caller| caller.called)
            .min()
            .unwrap_or(0)
    }

    /// When the last caller was served.
    pub(crate) fn end(&self) -> u64 {
        self.callers()
            .filter_map(|caller| Some(caller.served.as_ref()?.0))
            .max()
            .unwrap_or(0)
    }

    /// When the last body ended.
    pub(crate) fn last_end(&self) -> Option<u64> {
        self.callers().filter_map(|caller| caller.ended).max()
    }

    /// How long after the work the last of those who waited for it was served.
    pub(crate) fn last_answer_after_work(&self) -> Duration {
        let Some(ended) = self.last_end() else {
            return Duration::ZERO;
        };
        let waited = self
            .callers()
            .filter(|caller| caller.called.is_some_and(|called| called < ended));
        let last = waited
            .filter_map(|caller| Some(caller.served.as_ref()?.0))
            .max()
            .unwrap_or(ended);
        Duration::from_micros(last.saturating_sub(ended))
    }

    /// The calls that came when the work was done, and how long they took on average.
    pub(crate) fn late(&self) -> (usize, Duration) {
        let ended = self.last_end().unwrap_or(u64::MAX);
        let late = self.callers().filter_map(|caller| {
            caller.called.filter(|called| *called >= ended)?;
            caller.took()
        });
        let late: Vec<_> = late.collect();
        let average = late
            .iter()
            .sum::<Duration>()
            .checked_div(late.len() as u32)
            .unwrap_or_default();
        (late.len(), average)
    }
}

impl Caller {
    /// How long it took to be served.
    pub(crate) fn took(&self) -> Option<Duration> {
        Some(Duration::from_micros(
            self.served.as_ref()?.0.saturating_sub(self.called?),
        ))
    }
}
