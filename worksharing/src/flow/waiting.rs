//! Waiting for the end of another lead: for as long as the call may, and its thread.

use std::pin::{Pin, pin};
use std::time::Instant;

use super::suspended;
use crate::background::until;

/// Why a wait for another lead ended without it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unserved {
    /// The call has waited for as long as it may.
    TimedOut,
    /// The end of that lead may need this very thread.
    WouldBlock,
}

/// Waits for the end of another lead, at most until then.
pub(crate) async fn wait<F: Future>(
    other: Pin<&mut F>,
    deadline: Option<Instant>,
) -> Result<F::Output, Unserved> {
    let limited = pin!(until(other, deadline));
    match suspended::wait(limited).await {
        None => Err(Unserved::WouldBlock),
        Some(None) => Err(Unserved::TimedOut),
        Some(Some(output)) => Ok(output),
    }
}
