//! What happened in the last half minute, from two sources: samples of what is computed, and what processes tell.

mod bars;
mod keys;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant, SystemTime};

use bars::Bars;
use keys::Keys;
pub(crate) use view::View;

use crate::told::{Counted, Report, Step, Told, millis};
use worksharing::Computation;

/// For how long it is looked back, in milliseconds.
const WINDOW: u64 = 30_000;
/// A caller that is answered sooner has not waited.
const AT_ONCE: u64 = 100;
/// A process that tells nothing for this long has ended, or cannot reach this one.
const SILENCE: Duration = Duration::from_secs(4);
/// Without a page that asks, nothing is sampled.
const UNWATCHED: Duration = Duration::from_secs(60);

/// The host, and the process there.
type Who = (String, u32);

pub(crate) struct History {
    place: String,
    trouble: Option<String>,
    bars: Bars,
    keys: Keys,
    telling: BTreeMap<Who, Telling>,
    looked_at: Instant,
}

/// A process that tells of itself.
struct Telling {
    heard: Instant,
    counted: Counted,
    /// Calls that have no answer yet.
    calls: HashMap<u64, Call>,
}

struct Call {
    key: String,
    function: String,
    called: u64,
    computes: bool,
}

impl History {
    pub(crate) fn new(place: String) -> Self {
        Self {
            place,
            trouble: None,
            bars: Bars::default(),
            keys: Keys::default(),
            telling: BTreeMap::new(),
            looked_at: Instant::now(),
        }
    }

    pub(crate) fn is_looked_at(&self) -> bool {
        self.looked_at.elapsed() < UNWATCHED
    }

    /// Takes what is computed now in all processes, or why that is not known.
    pub(crate) fn sample(&mut self, list: Result<Vec<Computation>, String>) {
        let list = match list {
            Ok(list) => list,
            Err(trouble) => {
                self.trouble = Some(trouble);
                return;
            }
        };
        self.trouble = None;
        for computation in &list {
            self.bars.seen(computation);
        }
        let telling = &self.telling;
        self.bars
            .end_unseen(&list, now(), |who| telling.contains_key(who));
        self.note_ended();
    }

    /// Takes what a process tells of itself.
    pub(crate) fn hear(&mut self, report: Report) {
        let who = (report.host, report.process);
        // Clocks of machines differ.
        let ahead = report.now.cast_signed() - now().cast_signed();
        let heard = Instant::now();
        let telling = self.telling.entry(who.clone()).or_insert(Telling {
            heard,
            counted: Counted::default(),
            calls: HashMap::new(),
        });
        telling.heard = heard;
        telling.counted = report.counted;
        for Told { call, step, at } in report.calls {
            let at = at.saturating_add_signed(-ahead);
            telling.step(&who, call, step, at, &mut self.bars);
        }
        self.note_ended();
    }

    pub(crate) fn invalidated(&mut self, key: &str) {
        self.keys.invalidated(key, now());
    }

    /// Forgets what is too old, and processes that have gone.
    fn forget(&mut self) {
        let bars = &mut self.bars;
        self.telling.retain(|who, telling| {
            let gone = telling.heard.elapsed() > SILENCE;
            if gone {
                bars.end_all_of(who, now());
            }
            !gone
        });
        self.note_ended();
        self.bars.forget_before(now().saturating_sub(WINDOW));
    }

    fn note_ended(&mut self) {
        for bar in self.bars.take_ended() {
            self.keys.computed(bar);
        }
    }
}

impl Telling {
    fn step(&mut self, who: &Who, number: u64, step: Step, at: u64, bars: &mut Bars) {
        if let Step::Called { key, function } = step {
            let call = Call {
                key,
                function,
                called: at,
                computes: false,
            };
            self.calls.insert(number, call);
            return;
        }
        let Some(call) = self.calls.get_mut(&number) else {
            return; // it was called before this began to listen
        };
        match step {
            Step::Called { .. } => {}
            Step::BodyBegins => {
                bars.waited(who, number, call, at);
                call.computes = true;
                bars.begins(who, call, at);
            }
            Step::BodyEnds { well } => bars.ends(who, &call.key, at, well),
            Step::Answered => {
                if !call.computes {
                    bars.waited(who, number, call, at);
                }
                self.calls.remove(&number);
            }
        }
    }
}

fn now() -> u64 {
    millis(SystemTime::now())
}
