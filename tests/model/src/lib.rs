//! The lock protocols of worksharing as state machines, explored exhaustively.
//!
//! [`session`] is the protocol of session locks and interest locks, [`lease`] the one of lease rows.
//! Both have one key and a few processes. Every statement that PostgreSQL runs for the protocol is one
//! atomic step, and every interleaving of the steps is tried. `worksharing/docs/protocol.md` tells the same in prose.
//!
//! The tests check the right protocol, and then the protocol with one [`session::Mistake`] or
//! [`lease::Mistake`]: each mistake must be found.

pub mod explore;
pub mod lease;
pub mod session;
