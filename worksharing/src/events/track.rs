//! A call, as it is seen from outside: which function's it is, its span, and how it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::span::Entered;
use tracing::{Span, field};

use super::functions::Function;
use super::outcome::Outcome;
use super::trouble::Part;
use crate::Key;

/// What is followed of one call.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) function: Arc<Function>,
    /// Of calls that are traced, or whose way goes on in a task.
    trail: Option<Arc<Trail>>,
    /// It is the part that runs detached: its caller says how the call ended.
    pub(crate) is_detached: bool,
    /// What it had to do without, a bit for each part.
    without: AtomicU8,
}

/// What both parts of a detached call know.
#[derive(Debug)]
pub(crate) struct Trail {
    span: Span,
    /// How the detached part ended.
    ended: AtomicU8,
}

impl Clone for Track {
    fn clone(&self) -> Self {
        Self {
            function: Arc::clone(&self.function),
            trail: self.trail.clone(),
            is_detached: self.is_detached,
            without: AtomicU8::new(self.without.load(Ordering::Relaxed)),
        }
    }
}

/// The span of a call: nothing, where nobody subscribes to it.
fn span(name: &'static str, key: &Key) -> Span {
    tracing::debug_span!(
        "work_shared",
        name,
        key = key.hex(),
        outcome = field::Empty,
        waited = field::Empty,
        computed = field::Empty,
    )
}

impl Track {
    pub(crate) fn new(function: Arc<Function>) -> Self {
        Self {
            function,
            trail: None,
            is_detached: false,
            without: AtomicU8::new(0),
        }
    }

    /// The call begins: from now on it has its span, if anybody wants that.
    pub(crate) fn begin(&mut self, key: &Key) {
        if is_traced() {
            let span = span(self.function.name, key);
            if !span.is_disabled() {
                self.trail = Some(Trail::of(span));
            }
        }
    }

    /// The other part of this call, which runs detached.
    pub(crate) fn detached(&mut self) -> Self {
        let trail = self.trail.get_or_insert_with(|| Trail::of(Span::none()));
        Self {
            trail: Some(Arc::clone(trail)),
            is_detached: true,
            ..self.clone()
        }
    }

    /// Its body is inside of its span for as long as this lives.
    pub(crate) fn enter(&self) -> Option<Entered<'_>> {
        Some(self.trail.as_ref()?.span.enter())
    }

    /// What those know of it who wait for it, where it is traced.
    pub(crate) fn trail(&self) -> Option<Arc<Trail>> {
        let trail = self.trail.as_ref()?;
        (!trail.span.is_disabled()).then(|| Arc::clone(trail))
    }

    /// It waits for the call with this trail.
    pub(crate) fn follows(&self, leader: Option<Arc<Trail>>) {
        if let (Some(trail), Some(leader)) = (&self.trail, leader) {
            trail.span.follows_from(&leader.span);
        }
    }

    pub(crate) fn record(&self, field: &'static str) {
        if let Some(trail) = &self.trail {
            trail.span.record(field, true);
        }
    }

    /// It goes on without a part of the servers. Returns whether it had that until now.
    pub(super) fn goes_without(&self, part: Part<'_>) -> bool {
        let bit = part.bit();
        self.without.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// It computed.
    pub(crate) fn computed(&self) {
        self.ended(match self.without.load(Ordering::Relaxed) {
            0 => Outcome::Computed,
            _ => Outcome::Degraded,
        });
    }

    /// Its body ended in an error.
    pub(crate) fn failed(&self) {
        self.ended(Outcome::Failed);
    }

    /// It has been answered; or the part of it that runs detached has come to its end.
    pub(crate) fn ended(&self, outcome: Outcome) {
        if !self.is_detached {
            self.function.ended(outcome);
        }
        let Some(trail) = &self.trail else { return };
        if self.is_detached {
            trail.ended.store(outcome as u8, Ordering::Release);
        } else {
            trail.span.record("outcome", outcome.name());
        }
    }

    /// It has been answered with what its detached part came to.
    pub(crate) fn ended_detached(&self) {
        let ended = self.trail.as_ref();
        let ended = ended.map_or(0, |trail| trail.ended.load(Ordering::Acquire));
        if let Some(outcome) = Outcome::of(ended) {
            self.ended(outcome);
        }
    }
}

impl Trail {
    fn of(span: Span) -> Arc<Self> {
        let ended = AtomicU8::new(0);
        Arc::new(Self { span, ended })
    }
}

/// Whether anybody may want spans of calls.
pub(crate) fn is_traced() -> bool {
    tracing::level_filters::LevelFilter::current() >= tracing::Level::DEBUG
}

/// The span of a call that is answered with a value that is kept in this process, if anybody may want it.
#[inline]
pub(crate) fn found_here(name: &'static str, characteristic: &str) {
    if is_traced() {
        traced_here(name, characteristic);
    }
}

#[cold]
fn traced_here(name: &'static str, characteristic: &str) {
    span(name, &Key::new(characteristic)).record("outcome", Outcome::Local.name());
}
