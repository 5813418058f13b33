//! The protocols of worksharing as state machines, explored exhaustively.
//!
//! [`flow`] is what callers, the flights of their processes, the store and the lock do together, with the lock
//! as a black box; [`session`] is the protocol of session locks and interest locks, [`lease`] the one of lease
//! rows. `tests/model/README.md` names their properties and mistakes; `worksharing/docs/protocol.md` tells
//! the same in prose.
//!
//! Each has one key and a few callers. Every request to a server is an atomic step, and every interleaving of
//! the steps is tried. The tests check the right protocol, and then the protocol with one [`flow::Mistake`],
//! [`session::Mistake`] or [`lease::Mistake`]: each mistake must be found.

pub mod explore;
pub mod flow;
pub mod lease;
pub mod session;
