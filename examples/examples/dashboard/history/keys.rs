//! The keys that were computed lately: what the buttons are for.

use std::collections::HashMap;

use serde::Serialize;

use super::bars::Bar;

/// As many as are of use on a page.
const MOST: usize = 40;

#[derive(Clone, Serialize)]
pub(crate) struct Known {
    pub(super) key: String,
    pub(super) function: String,
    /// When its last computation ended, and how long that took, in milliseconds.
    pub(super) computed: u64,
    pub(super) took: u64,
    pub(super) process: u32,
    pub(super) host: String,
    pub(super) failed: bool,
    /// When it was invalidated here, if that was later.
    pub(super) invalidated: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Keys(HashMap<String, Known>);

impl Keys {
    pub(super) fn computed(&mut self, bar: Bar) {
        let computed = bar.to.unwrap_or(bar.from);
        let known = Known {
            key: bar.key.clone(),
            function: bar.function,
            computed,
            took: computed - bar.from,
            process: bar.who.1,
            host: bar.who.0,
            failed: bar.failed,
            invalidated: None,
        };
        self.0.insert(bar.key, known);
        if self.0.len() > MOST {
            let oldest = self.0.values().min_by_key(|known| known.computed);
            if let Some(oldest) = oldest.map(|known| known.key.clone()) {
                self.0.remove(&oldest);
            }
        }
    }

    pub(super) fn invalidated(&mut self, key: &str, at: u64) {
        if let Some(known) = self.0.get_mut(key) {
            known.invalidated = Some(at);
        }
    }

    /// In an order that stays as it is.
    pub(super) fn list(&self) -> Vec<Known> {
        let mut list: Vec<_> = self.0.values().cloned().collect();
        list.sort_by(|a, b| (&a.function, &a.key).cmp(&(&b.function, &b.key)));
        list
    }
}
