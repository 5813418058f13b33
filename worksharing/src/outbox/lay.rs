//! From rows to tombstones and markers.

use std::collections::HashMap;

use futures_util::future::join_all;

use super::{Outbox, Row, Text};
use crate::backend::postgres::session::{Laid, Put};
use crate::flow::without_value;
use crate::payload::entry::{Kind, Written};
use crate::{Error, Key};

/// What several rows ask for is done once.
struct Due {
    key: Key,
    kind: Kind,
    rows: Vec<i64>,
}

impl Outbox {
    /// Lays what these rows ask for, and has done with those of them for which that worked.
    pub(super) async fn lay(&self, store: &str, rows: Vec<Row>) -> Result<(), Error> {
        let (due, strange) = self.sort(rows);
        if !strange.is_empty() {
            self.troubles.strange(strange.len());
            self.queue.done(store, strange).await?;
        }
        if due.is_empty() {
            return Ok(());
        }
        if self.is_exact {
            self.lay_beside(store, due).await
        } else {
            self.lay_in_store(store, due).await
        }
    }

    /// By key, and those that can be about nothing of ours.
    fn sort(&self, rows: Vec<Row>) -> (Vec<Due>, Vec<i64>) {
        let (mut by_text, mut strange) = (HashMap::<Text, Vec<i64>>::new(), Vec::new());
        for row in rows {
            match row.text {
                Some(text) => by_text.entry(text).or_default().push(row.id),
                None => strange.push(row.id),
            }
        }
        let due = |(text, rows): (Text, Vec<i64>)| Due {
            key: text.key(&self.namespace),
            kind: text.kind(),
            rows,
        };
        (by_text.into_iter().map(due).collect(), strange)
    }

    /// With an id of its own: one that takes effect late must not look like one that was seen.
    pub(super) fn entry(&self, key: &Key, kind: Kind) -> Written {
        without_value(key, kind, self.tombstone_ttl)
    }

    /// In the database of the outbox itself: laid and done in one step.
    async fn lay_beside(&self, store: &str, due: Vec<Due>) -> Result<(), Error> {
        let entries = due.iter().map(|due| {
            let Written { bytes, lives_for } = self.entry(&due.key, due.kind);
            let entry = Put {
                key: self.queue.value_key(&due.key),
                entry: bytes,
                ttl: lives_for,
                fence: None,
                text: None,
            };
            let rows = due.rows.clone();
            Laid { rows, entry }
        });
        let entries = entries.collect();
        // First, since what is pending counts as laid; who dies in between is followed by one who does both.
        self.tell(due.iter().map(|due| &due.key)).await;
        self.queue.lay(store, entries).await
    }

    /// Elsewhere: laid first, then done.
    async fn lay_in_store(&self, store: &str, due: Vec<Due>) -> Result<(), Error> {
        let lay = |due: &Due| {
            let Written { bytes, lives_for } = self.entry(&due.key, due.kind);
            let key = due.key.clone();
            async move { self.store.replace(&key, bytes, lives_for).await }
        };
        let laid = join_all(due.iter().map(lay)).await;
        let (mut done, mut told, mut failed) = (Vec::new(), Vec::new(), None);
        for (due, laid) in due.into_iter().zip(laid) {
            match laid {
                Ok(()) => {
                    done.extend(due.rows);
                    told.push(due.key);
                }
                Err(error) => failed = Some(error),
            }
        }
        if !done.is_empty() {
            // First: who dies in between is followed by one who does both again.
            self.tell(told.iter()).await;
            self.queue.done(store, done).await?;
        }
        failed.map_or(Ok(()), Err)
    }

    /// Tells all processes, once it is laid.
    async fn tell(&self, keys: impl Iterator<Item = &Key>) {
        let digests: Vec<_> = keys.map(|key| *key.digest()).collect();
        if !digests.is_empty()
            && let Err(error) = self.changes.tell(&digests).await
        {
            self.troubles.untold(&error);
        }
    }
}
