use super::{Protocol, Shared};
use crate::Error;
use crate::block_on::may_block;

/// A link's connection while a caller has it.
struct BorrowedConnection<'a, W: Protocol> {
    shared: &'a Shared<W>,
    connection: Option<W::Connection>,
    generation: u64,
    /// Why it is not given back.
    lost: Option<Error>,
}

impl<W: Protocol> Shared<W> {
    /// Serves an ask on this thread, if it is a caller's that waits for the answer anyway and the link's thread
    /// has nothing to do: two threads need not be woken then. Otherwise, or if the connection is lost, the ask
    /// is given back.
    pub(super) fn serve_here(&self, ask: W::Ask) -> Result<Result<W::Answer, Error>, W::Ask> {
        if !W::CALLER_MAY_SERVE || !may_block() {
            return Err(ask);
        }
        let Some(mut borrowed) = self.borrow() else {
            return Err(ask);
        };
        let Some(connection) = &mut borrowed.connection else {
            return Err(ask);
        };
        self.watchdog.arm();
        match self
            .protocol
            .serve(connection, std::slice::from_ref(&ask), &self.watchdog)
        {
            Ok(mut answers) => answers.pop().ok_or(ask),
            Err(error) => {
                borrowed.connection = None;
                borrowed.lost = Some(error);
                Err(ask)
            }
        }
    }

    fn borrow(&self) -> Option<BorrowedConnection<'_, W>> {
        let mut state = self.state();
        if !state.queue.is_empty() || state.crowded {
            return None;
        }
        let connection = Some(state.idle.take()?);
        Some(BorrowedConnection {
            shared: self,
            connection,
            generation: state.generation,
            lost: None,
        })
    }
}

impl<W: Protocol> Drop for BorrowedConnection<'_, W> {
    /// Gives it back, or says that it is lost. Whoever asked meanwhile is the thread's to serve.
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if state.generation != self.generation {
            // It took so long that the watch let go of the connection.
            return;
        }
        self.shared.watchdog.disarm();
        if std::thread::panicking() {
            self.connection = None;
        }
        match self.connection.take() {
            Some(connection) => state.idle = Some(connection),
            None => {
                let lost = self.lost.take();
                state.lost =
                    lost.or_else(|| Some(Error::unavailable("a caller lost the connection")));
            }
        }
        state.crowded = !state.queue.is_empty();
        if state.lost.is_some() || state.crowded {
            self.shared.queued.notify_one();
        }
    }
}
