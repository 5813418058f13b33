//! The bytes of one stored entry, format version 2. Frozen: a change makes a new version.
//!
//! An entry is a container of one frame or two, the newest first. Two are there while two versions of a type are
//! deployed side by side: each reads the frame that has its fingerprint. An error of a function with `cache_err` stands in
//! the place of its value; the fingerprint is that of its type.
//!
//! | at | length | what | |
//! |---|---|---|---|
//! | 0 | 4 | magic | `89 57 53 45` |
//! | 4 | 1 | format version | 2 |
//! | 5 | 1 | number of frames `n` | 1 or 2 |
//! | 6 | 2 | reserved | written as 0, not read |
//! | 8 | 96 `n` | a row for each frame | |
//! | 8 + 96 `n` | 8 | length `c` of the characteristic string | bytes |
//! | 16 + 96 `n` | `c` | characteristic string | UTF-8 |
//! | 16 + 96 `n` + `c` | 4 | CRC-32 (IEEE) of all before it | |
//! | 20 + 96 `n` + `c` | | the frames' payloads, in the order of their rows | |
//!
//! A row says all about its frame, so that a frame of another type, kind or codec can be carried unread:
//!
//! | at | length | what | |
//! |---|---|---|---|
//! | 0 | 16 | frame id | random, new with every frame |
//! | 16 | 16 | id of the frame that it is based on | zeros: of nothing |
//! | 32 | 8 | type fingerprint | |
//! | 40 | 1 | kind | 1 value, 2 error, 3 tombstone, 4 tag marker |
//! | 41 | 1 | codec of the payload | 0 none, 1 bincode, 2 MessagePack |
//! | 42 | 2 | reserved | written as 0, not read |
//! | 44 | 4 | CRC-32 (IEEE) of the payload | |
//! | 48 | 8 | length of the payload | bytes |
//! | 56 | 8 | fresh for, from its put | µs |
//! | 64 | 8 | kept for, from its put | µs |
//! | 72 | 8 | age when this container was written | µs |
//! | 80 | 8 | compute time | µs |
//! | 88 | 8 | hash of the tags' ids | |
//!
//! Numbers are little-endian. The first 24 bytes, which end with the newest frame's id, are what a
//! [`Seen`](crate::store::Seen) compares. A container lives for as long as one of its frames is kept.

mod id;
mod read;
mod write;

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

pub(crate) use id::EntryId;
pub(crate) use read::{Carried, Container, Frame};
pub(crate) use write::{Draft, Written};

const MAGIC: [u8; 4] = *b"\x89WSE";
const VERSION: u8 = 2;
const PREFIX: usize = 8;
const ROW: usize = 96;
const LENGTH: usize = 8;
const CHECKSUM: usize = 4;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Value,
    Error,
    /// There must be no value older than this.
    Tombstone,
    /// Its id is part of what the entries with that tag are valid for.
    Marker,
    /// Of a later version of this crate.
    Unknown(u8),
}

/// All about a frame but its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) id: EntryId,
    /// What its leader saw before it computed.
    pub(crate) based_on: EntryId,
    /// Of the type that the payload was made from.
    pub(crate) fingerprint: u64,
    pub(crate) fresh_for: Duration,
    /// At least `fresh_for`: until the end of its stale phases.
    pub(crate) keep_for: Duration,
    /// When its container was written; more than zero only where it was carried.
    pub(crate) age: Duration,
    pub(crate) compute_time: Duration,
    /// Of the tags' ids under which it was begun.
    pub(crate) tags: u64,
}

/// The structures of what a reader takes: a value and, where errors are stored, an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Types {
    value: u64,
    /// Calls keep it while they wait: so it is small.
    error: Option<NonZeroU64>,
}

impl Types {
    /// Of a reader of values of one fingerprint, and errors of another.
    pub(crate) fn new(value: u64, error: Option<u64>) -> Self {
        Self {
            value,
            error: error.and_then(NonZeroU64::new),
        }
    }

    /// Of a reader to whom an error is a miss.
    pub(crate) fn value(value: u64) -> Self {
        Self::new(value, None)
    }

    /// Of a reader whose calls have other tags than those of the same types: each reads its own, as two versions of a type
    /// do.
    pub(crate) fn salted(self, salt: u64) -> Self {
        Self {
            value: self.value ^ salt,
            error: self
                .error
                .and_then(|error| NonZeroU64::new(error.get() ^ salt)),
        }
    }

    /// Whether a frame is this reader's.
    fn own(&self, frame: &Header) -> bool {
        match frame.kind {
            Kind::Value | Kind::Unknown(_) => frame.fingerprint == self.value,
            Kind::Error => self
                .error
                .is_some_and(|error| error.get() == frame.fingerprint),
            Kind::Tombstone | Kind::Marker => false,
        }
    }
}

impl Header {
    /// A header with a new id, that says nothing but this.
    pub(crate) fn new(kind: Kind, keep_for: Duration) -> Self {
        Self {
            kind,
            id: EntryId::random(),
            based_on: EntryId::NONE,
            fingerprint: 0,
            fresh_for: keep_for,
            keep_for,
            age: Duration::ZERO,
            compute_time: Duration::ZERO,
            tags: 0,
        }
    }

    /// For how long its container has to live on its account.
    fn kept(&self) -> Duration {
        self.keep_for.saturating_sub(self.age)
    }
}

/// Why bytes are no entry. To the caller it is a miss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unreadable {
    /// Fewer bytes than the entry's own lengths say, or than any entry has.
    Truncated,
    /// More bytes than the entry's own lengths say.
    Overlong,
    NotAnEntry,
    Version(u8),
    Frames(u8),
    Checksum,
    Codec(u8),
    Characteristic,
}

impl Kind {
    fn from_byte(byte: u8) -> Self {
        let known = [Self::Value, Self::Error, Self::Tombstone, Self::Marker];
        let kind = known.into_iter().find(|kind| kind.byte() == byte);
        kind.unwrap_or(Self::Unknown(byte))
    }

    fn byte(self) -> u8 {
        match self {
            Self::Value => 1,
            Self::Error => 2,
            Self::Tombstone => 3,
            Self::Marker => 4,
            Self::Unknown(byte) => byte,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("an entry that is cut off"),
            Self::Overlong => f.write_str("an entry with bytes after its end"),
            Self::NotAnEntry => f.write_str("bytes that are no entry of this crate"),
            Self::Version(version) => write!(
                f,
                "an entry of format version {version}; this crate reads version {VERSION}"
            ),
            Self::Frames(frames) => write!(f, "an entry that says it has {frames} frames"),
            Self::Checksum => f.write_str("an entry whose checksum is wrong"),
            Self::Codec(codec) => write!(f, "an entry with the unknown codec {codec}"),
            Self::Characteristic => {
                f.write_str("an entry whose characteristic string is not UTF-8")
            }
        }
    }
}

#[cfg(test)]
mod tests;
