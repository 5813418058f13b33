//! Calls of many keys at once, by a worker.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use worksharing::WorkSharing;

use super::tell::tell;
use crate::plan::{Event, List};

/// One caller on a thread of its own.
pub(super) fn begin(sharing: WorkSharing, list: List) {
    thread::spawn(move || {
        let List {
            name,
            ids,
            body,
            detach,
        } = list;
        let many = sharing.many(ids, |id| format!("{name}:{id}"));
        let many = many.with(|work, _| work.ttl(Duration::from_secs(60)));
        let square = move |missing: Vec<u64>| {
            tell(&Event::ListBody(missing.clone()));
            thread::sleep(body);
            missing.into_iter().map(|id| (id, id * id)).collect()
        };
        let values: HashMap<u64, u64> = if detach {
            many.detach().run_blocking(square)
        } else {
            many.run_blocking(square)
        };
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_unstable();
        tell(&Event::Listed(values));
    });
}
