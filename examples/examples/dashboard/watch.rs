//! Asks what is being computed, for as long as somebody looks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use worksharing::WorkSharing;

use crate::history::History;

const INTERVAL: Duration = Duration::from_millis(500);

pub(crate) async fn watch(sharing: WorkSharing, history: Arc<Mutex<History>>) {
    loop {
        let somebody_looks = lock(&history).is_looked_at();
        if somebody_looks {
            let list = sharing.computing().await;
            lock(&history).sample(list.map_err(|error| whole(&error)));
        }
        sleep(INTERVAL).await;
    }
}

pub(crate) fn lock(history: &Mutex<History>) -> std::sync::MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error and its causes.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut whole = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        whole = format!("{whole}: {error}");
        cause = error.source();
    }
    whole
}
