//! Looks that find what is pending have it laid at once: then a leader among them may put over it.

use std::sync::Arc;

use futures_channel::oneshot;

use super::{Outbox, StoreId, Text};
use crate::background;
use crate::sync::{Mutex, lock};

/// What looks of this process have found pending. However many find it, it is asked for once.
#[derive(Debug, Default)]
pub(super) struct Found(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    texts: Vec<Text>,
    looks: Vec<oneshot::Sender<()>>,
    is_busy: bool,
}

impl Outbox {
    /// Has these laid, if nobody else is at it. Afterwards they are, or that has failed.
    ///
    /// # Cancel safety
    /// Dropped, it goes on in the background.
    pub(super) async fn resolve(self: &Arc<Self>, texts: Vec<Text>) {
        let (resolved, is_first) = self.process().found.add(texts);
        if is_first {
            background::spawn(Arc::clone(self).resolve_all());
        }
        let _ = resolved.await;
    }

    /// What is found meanwhile comes next.
    async fn resolve_all(self: Arc<Self>) {
        let store = StoreId::values().of(&self.namespace);
        let found = &self.process().found;
        let _abandoned = Abandoned(found);
        while let Some((texts, looks)) = found.next() {
            // Where that fails, what is pending counts as laid all the same.
            if let Ok(rows) = self.queue.take(&store, 0, texts).await {
                drop(self.lay(&store, rows).await);
            }
            for look in looks {
                // Whoever waited may have gone.
                let _ = look.send(());
            }
        }
    }
}

impl Found {
    /// Returns whether nobody is at it.
    fn add(&self, texts: Vec<Text>) -> (oneshot::Receiver<()>, bool) {
        let (look, resolved) = oneshot::channel();
        let mut found = lock(&self.0);
        found.texts.extend(texts);
        found.looks.push(look);
        let is_first = !std::mem::replace(&mut found.is_busy, true);
        (resolved, is_first)
    }

    fn next(&self) -> Option<(Vec<Text>, Vec<oneshot::Sender<()>>)> {
        let mut found = lock(&self.0);
        found.is_busy = !found.looks.is_empty();
        let texts = std::mem::take(&mut found.texts);
        let looks = std::mem::take(&mut found.looks);
        (!looks.is_empty()).then_some((texts, looks))
    }
}

/// A defect of ours must not keep looks waiting for ever.
struct Abandoned<'a>(&'a Found);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *lock(&self.0.0) = State::default();
        }
    }
}
