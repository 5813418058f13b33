//! Callers that compute one after the other, because nothing comes of each computation that the others could use.

use super::call::Call;
use crate::events::Event;

/// How many computations of others a caller has waited for in vain.
#[derive(Debug, Default)]
pub(crate) struct Convoy {
    failures: u16,
    said: bool,
    /// It has slept until the lock might be free.
    pub(super) slept: bool,
}

/// So many are no accident any more.
const MANY: u16 = 3;

impl Convoy {
    /// It has waited for so many more. Advises once.
    pub(crate) fn waited_in_vain(&mut self, call: &Call, failures: u16) {
        self.failures = self.failures.saturating_add(failures);
        if self.failures >= MANY && !std::mem::replace(&mut self.said, true) {
            call.record(Event::Convoy(self.failures));
        }
    }
}
