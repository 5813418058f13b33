use std::time::Instant;

use super::Protocol;
use super::shared::Shared;
use crate::Error;
use crate::blocking::may_serve;

/// A link's connection while a caller has it.
struct BorrowedConnection<'a, W: Protocol> {
    shared: &'a Shared<W>,
    connection: Option<W::Connection>,
    given_up: u64,
    /// Why it is not given back.
    lost: Option<Error>,
}

impl<W: Protocol> Shared<W> {
    /// Serves an ask on this thread, if it is a caller's that waits for the answer anyway and the link's thread
    /// has nothing to do: two threads need not be woken then. Otherwise, or if the connection is lost, the ask
    /// is given back.
    pub(super) fn serve_here(&self, ask: W::Ask) -> Result<Result<W::Answer, Error>, W::Ask> {
        if !W::CALLER_MAY_SERVE || !may_serve() {
            return Err(ask);
        }
        let Some(mut borrowed) = self.borrow() else {
            return Err(ask);
        };
        let Some(connection) = &mut borrowed.connection else {
            return Err(ask);
        };
        self.watchdog.arm();
        match self.protocol.serve_one(connection, &ask, &self.watchdog) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                borrowed.connection = None;
                borrowed.lost = Some(error.clone());
                if self.protocol.may_send_again(&ask) {
                    Err(ask)
                } else {
                    Ok(Err(error))
                }
            }
        }
    }

    fn borrow(&self) -> Option<BorrowedConnection<'_, W>> {
        let mut state = self.state();
        if !state.asks.is_empty() || state.crowded {
            return None;
        }
        let connection = Some(state.idle.take()?);
        Some(BorrowedConnection {
            shared: self,
            connection,
            given_up: state.given_up,
            lost: None,
        })
    }
}

impl<W: Protocol> Drop for BorrowedConnection<'_, W> {
    /// Gives it back, or says that it is lost. Whoever asked meanwhile is the thread's to serve.
    fn drop(&mut self) {
        self.shared.watchdog.disarm();
        let mut state = self.shared.state();
        let is_late = state.given_up != self.given_up;
        let lost = match self.connection.take() {
            Some(connection) if !is_late && !std::thread::panicking() => {
                state.served = Some(Instant::now());
                state.idle = Some(connection);
                None
            }
            lost => {
                let lost_anyhow = || Error::unavailable("a caller lost the connection");
                state.lost = Some(self.lost.take().unwrap_or_else(lost_anyhow));
                lost
            }
        };
        state.crowded = !state.asks.is_empty();
        let is_needed = state.lost.is_some() || state.crowded;
        drop(state);
        if is_needed {
            self.shared.queued.notify_one();
        }
        // A client may take its leave of the server.
        drop(lost);
    }
}
