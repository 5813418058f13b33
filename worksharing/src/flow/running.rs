use std::thread;

use super::Call;
use crate::computing;
use crate::events::Event;
use crate::events::meters::Timed;
use crate::events::track::Track;

/// A body that runs, until this is dropped: be it at its end, by a panic, or because its future was dropped.
pub(super) struct Running {
    track: Track,
    _told: computing::Running,
    _timed: Timed,
}

impl Running {
    pub(super) fn begin(call: &Call, holds_lock: bool) -> Self {
        call.record(Event::Computed);
        call.track.record("computed");
        let function = &call.track.function;
        let computing = &call.runtime.computing;
        Self {
            _told: computing.begin(&call.key, function.name, holds_lock),
            _timed: function.computing(),
            track: call.track.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            self.track.failed();
        }
    }
}
