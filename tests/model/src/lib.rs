//! The protocols of worksharing as state machines, explored exhaustively.
//!
//! [`flow`] is what callers, the flights of their processes, the store and the lock do together, with the lock
//! as a black box; [`session`] is the protocol of session locks and interest locks, [`lease`] the one of lease
//! rows; [`many`] is what calls of several keys do to each other. `tests/model/README.md` names their properties and
//! mistakes; `worksharing/docs/protocol.md` tells the same in prose.
//!
//! Each has one key, but for [`many`], and a few callers. Every request to a server is an atomic step, and every
//! interleaving of the steps is tried. The tests check the right protocol, and then the protocol with one
//! [`flow::Mistake`], [`session::Mistake`], [`lease::Mistake`] or [`many::Mistake`]: each mistake must be found.

pub mod explore;
pub mod flow;
pub mod lease;
pub mod many;
pub mod session;
