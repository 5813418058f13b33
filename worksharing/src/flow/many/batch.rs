//! What the calls of one batch know of each other.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use crate::detached::{Detached, Permit};
use crate::sync::{Mutex, lock};

/// The calls that are under way together.
#[derive(Default)]
pub(super) struct Batch {
    /// How many of them have something on its way that comes soon.
    busy: AtomicUsize,
    /// To run detached what they lead: one for all.
    permit: Mutex<Option<Permit>>,
    gate: Mutex<Gate>,
}

/// Where calls wait that have been answered, until all are: then what they ask next is one batch, too. The answers of one
/// batch come one after the other, and the first one wakes its caller.
#[derive(Default)]
struct Gate {
    waiting: Vec<Waker>,
    arrived: usize,
    /// How often it was opened.
    opened: u64,
}

impl Batch {
    /// Whether some wait at the gate.
    pub(super) fn is_gathering(&self) -> bool {
        lock(&self.gate).arrived > 0
    }

    /// Whether all do that have something to do.
    pub(super) fn is_gathered(&self) -> bool {
        let arrived = lock(&self.gate).arrived;
        arrived > 0 && arrived >= self.busy.load(Ordering::Relaxed)
    }

    pub(super) fn open(&self) {
        let waiting = {
            let mut gate = lock(&self.gate);
            gate.opened += 1;
            gate.arrived = 0;
            std::mem::take(&mut gate.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

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

    /// Waits for the others at the gate.
    pub(in crate::flow) async fn gather(&self) {
        let mut arrival = Arrival {
            batch: &self.0.batch,
            opened: None,
        };
        poll_fn(move |context| arrival.poll(context)).await;
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

/// One that waits at the gate.
struct Arrival<'a> {
    batch: &'a Batch,
    /// What the gate's number was when it came.
    opened: Option<u64>,
}

impl Arrival<'_> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut gate = lock(&self.batch.gate);
        let opened = *self.opened.get_or_insert_with(|| {
            gate.arrived += 1;
            gate.opened
        });
        if opened < gate.opened {
            return Poll::Ready(());
        }
        gate.waiting.push(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Arrival<'_> {
    fn drop(&mut self) {
        let mut gate = lock(&self.batch.gate);
        if self.opened == Some(gate.opened) {
            gate.arrived -= 1;
        }
    }
}

impl fmt::Debug for InBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InBatch").field(&self.0.is_busy).finish()
    }
}
