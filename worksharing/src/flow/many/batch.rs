//! What the calls of one batch know of each other.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::detached::{Detached, Permit};
use crate::sync::{Mutex, lock};

/// The calls that are under way together.
#[derive(Default)]
pub(super) struct Batch {
    /// How many of them have something on its way that comes soon.
    busy: AtomicUsize,
    /// To run detached what they lead: one for all.
    permit: Mutex<Option<Permit>>,
}

impl Batch {
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    pub(super) fn take_permit(&self) -> Option<Permit> {
        lock(&self.permit).take()
    }
}

/// One of several calls. Busy unless it waits for another lead.
#[derive(Clone)]
pub(crate) struct InBatch(Arc<Member>);

struct Member {
    batch: Arc<Batch>,
    is_busy: AtomicBool,
    has_waited: AtomicBool,
}

impl InBatch {
    pub(super) fn new(batch: &Arc<Batch>) -> Self {
        let this = Self(Arc::new(Member {
            batch: Arc::clone(batch),
            is_busy: AtomicBool::new(false),
            has_waited: AtomicBool::new(false),
        }));
        this.goes_on();
        this
    }

    /// It begins to wait for another lead.
    pub(in crate::flow) fn waits(&self) {
        self.0.has_waited.store(true, Ordering::Relaxed);
        self.over();
    }

    /// … and has waited.
    pub(in crate::flow) fn goes_on(&self) {
        if !self.0.is_busy.swap(true, Ordering::Relaxed) {
            self.0.batch.busy.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It is at its end.
    pub(super) fn over(&self) {
        if self.0.is_busy.swap(false, Ordering::Relaxed) {
            self.0.batch.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn has_waited(&self) -> bool {
        self.0.has_waited.load(Ordering::Relaxed)
    }

    /// Whether what it leads may run detached.
    pub(in crate::flow) fn admit(&self, detached: &Arc<Detached>) -> bool {
        let mut permit = lock(&self.0.batch.permit);
        if permit.is_none() {
            *permit = detached.admit();
        }
        permit.is_some()
    }
}

impl fmt::Debug for InBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InBatch").field(&self.0.is_busy).finish()
    }
}
