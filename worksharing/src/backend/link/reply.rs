use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_channel::oneshot;

use crate::Error;

/// What becomes of an answer. Given on the link's thread, so it is only passed on, and never under a lock.
pub(super) enum Reply<A> {
    Channel(oneshot::Sender<Result<A, Error>>),
    #[cfg(feature = "postgres")]
    Call(Box<dyn FnOnce(Result<A, Error>) + Send>),
}

impl<A> Reply<A> {
    pub(super) fn give(self, answer: Result<A, Error>) {
        quietly(|| match self {
            // Nobody may want it any more.
            Self::Channel(sender) => drop(sender.send(answer)),
            #[cfg(feature = "postgres")]
            Self::Call(call) => call(answer),
        });
    }
}

/// Runs what may wake somebody: a waker that panics must not cost the others their answers.
pub(super) fn quietly(run: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(run)));
}

pub(super) fn unanswered() -> Error {
    Error::unavailable("the connection's thread did not answer")
}
