//! The bytes of one stored entry. Frozen: a change makes a new format version.
//!
//! | at | length | what | |
//! |---|---|---|---|
//! | 0 | 4 | magic | `89 57 53 45` |
//! | 4 | 1 | format version | 1 |
//! | 5 | 1 | kind | 1 value, 2 tombstone |
//! | 6 | 1 | codec of the payload | 0 none (tombstone), 1 bincode, 2 MessagePack |
//! | 7 | 1 | reserved | written as 0, not read |
//! | 8 | 16 | entry id | random, new with every entry |
//! | 24 | 8 | type fingerprint | |
//! | 32 | 8 | computed at | µs since 1970 |
//! | 40 | 8 | compute time | µs |
//! | 48 | 8 | length `c` of the characteristic string | bytes |
//! | 56 | 8 | length `p` of the payload | bytes |
//! | 64 | `c` | characteristic string | UTF-8 |
//! | 64 + `c` | `p` | payload | |
//! | 64 + `c` + `p` | 4 | CRC-32 (IEEE) of all before it | |
//!
//! Numbers are little-endian. The first 24 bytes are what a [`Seen`](crate::store::Seen) compares.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::payload::codec::Codec;

const MAGIC: [u8; 4] = *b"\x89WSE";
const VERSION: u8 = 1;
const VALUE: u8 = 1;
const TOMBSTONE: u8 = 2;
const NO_CODEC: u8 = 0;
const HEADER: usize = 64;
const CHECKSUM: usize = 4;

/// What tells an entry from every other that ever stood under any key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EntryId([u8; 16]);

impl EntryId {
    /// A new id: two keyed hashes of a counter, their keys random in each process. The process id is
    /// hashed too, because a fork inherits both the keys and the counter.
    pub(crate) fn random() -> Self {
        static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let seed = (std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let [high, low] = [&KEYS[0], &KEYS[1]].map(|keys| keys.hash_one(seed));
        Self((u128::from(high) << 64 | u128::from(low)).to_le_bytes())
    }
}

/// A stored value, or the mark that there must be none older than it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) id: EntryId,
    /// Of the type that the payload was made from.
    pub(crate) fingerprint: u64,
    pub(crate) computed_at: SystemTime,
    pub(crate) compute_time: Duration,
    /// Checked by the reader: two strings of one digest cost a miss, never a wrong value.
    pub(crate) characteristic: &'a str,
    pub(crate) body: Body<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Body<'a> {
    Value { codec: Codec, payload: &'a [u8] },
    Tombstone,
}

/// Why bytes are no entry. To the caller it is a miss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unreadable {
    /// Fewer bytes than the entry's own lengths say, or than any entry has.
    Truncated {
        found: usize,
    },
    /// More bytes than the entry's own lengths say.
    Overlong {
        found: usize,
    },
    NotAnEntry,
    Version(u8),
    Checksum,
    Kind(u8),
    Codec(u8),
    Characteristic,
}

impl<'a> Entry<'a> {
    pub(crate) fn to_bytes(self) -> Bytes {
        let (kind, codec, payload) = match self.body {
            Body::Value { codec, payload } => (VALUE, codec as u8, payload),
            Body::Tombstone => (TOMBSTONE, NO_CODEC, &[][..]),
        };
        let length = HEADER + self.characteristic.len() + payload.len() + CHECKSUM;
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, kind, codec, 0]);
        bytes.extend_from_slice(&self.id.0);
        let since_1970 = self
            .computed_at
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        for number in [
            self.fingerprint,
            micros(since_1970),
            micros(self.compute_time),
            self.characteristic.len() as u64,
            payload.len() as u64,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(self.characteristic.as_bytes());
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes.into()
    }

    /// Reads an entry, whatever the bytes are.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let mut rest = checked(bytes)?;
        let [kind, codec] = [bytes[5], bytes[6]];
        let _ = take(&mut rest, 8)?;
        let id = EntryId(array(&mut rest)?);
        let fingerprint = number(&mut rest)?;
        let computed_at = number(&mut rest)?;
        let compute_time = number(&mut rest)?;
        let [characteristic, payload] = [number(&mut rest)?, number(&mut rest)?];
        let characteristic = str::from_utf8(take(&mut rest, characteristic)?)
            .map_err(|_| Unreadable::Characteristic)?;
        let payload = take(&mut rest, payload)?;
        Ok(Self {
            id,
            fingerprint,
            computed_at: UNIX_EPOCH
                .checked_add(Duration::from_micros(computed_at))
                .unwrap_or(UNIX_EPOCH),
            compute_time: Duration::from_micros(compute_time),
            characteristic,
            body: body(kind, codec, payload)?,
        })
    }
}

/// The bytes without their checksum, once it and everything that comes before it was found right.
fn checked(bytes: &[u8]) -> Result<&[u8], Unreadable> {
    let found = bytes.len();
    if !bytes.starts_with(&MAGIC[..found.min(MAGIC.len())]) {
        return Err(Unreadable::NotAnEntry);
    }
    match bytes.get(4) {
        None | Some(&VERSION) => {}
        Some(&other) => return Err(Unreadable::Version(other)),
    }
    let mut lengths = bytes.get(48..).unwrap_or_default();
    let [characteristic, payload] = [number(&mut lengths), number(&mut lengths)];
    let (Ok(characteristic), Ok(payload)) = (characteristic, payload) else {
        return Err(Unreadable::Truncated { found });
    };
    let expected = u128::from(characteristic) + u128::from(payload) + (HEADER + CHECKSUM) as u128;
    match (found as u128).cmp(&expected) {
        std::cmp::Ordering::Less => return Err(Unreadable::Truncated { found }),
        std::cmp::Ordering::Greater => return Err(Unreadable::Overlong { found }),
        std::cmp::Ordering::Equal => {}
    }
    let (rest, checksum) = bytes.split_at(found - CHECKSUM);
    if crc32fast::hash(rest).to_le_bytes() != checksum {
        return Err(Unreadable::Checksum);
    }
    Ok(rest)
}

fn body(kind: u8, codec: u8, payload: &[u8]) -> Result<Body<'_>, Unreadable> {
    match (kind, codec) {
        (TOMBSTONE, _) => Ok(Body::Tombstone),
        (VALUE, codec) => {
            let codec = Codec::from_byte(codec).ok_or(Unreadable::Codec(codec))?;
            Ok(Body::Value { codec, payload })
        }
        (other, _) => Err(Unreadable::Kind(other)),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], Unreadable> {
    let found = rest.len();
    let taken = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_off(..length));
    taken.ok_or(Unreadable::Truncated { found })
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Unreadable> {
    let found = rest.len();
    let (array, after) = rest
        .split_first_chunk()
        .ok_or(Unreadable::Truncated { found })?;
    *rest = after;
    Ok(*array)
}

fn number(rest: &mut &[u8]) -> Result<u64, Unreadable> {
    array(rest).map(u64::from_le_bytes)
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { found } => write!(f, "an entry cut off after {found} bytes"),
            Self::Overlong { found } => {
                write!(f, "an entry with bytes after its end: {found} in all")
            }
            Self::NotAnEntry => f.write_str("bytes that are no entry of this crate"),
            Self::Version(version) => {
                write!(
                    f,
                    "an entry of format version {version}; this crate reads version {VERSION}"
                )
            }
            Self::Checksum => f.write_str("an entry whose checksum is wrong"),
            Self::Kind(kind) => write!(f, "an entry of the unknown kind {kind}"),
            Self::Codec(codec) => write!(f, "an entry with the unknown codec {codec}"),
            Self::Characteristic => {
                f.write_str("an entry whose characteristic string is not UTF-8")
            }
        }
    }
}

#[cfg(test)]
mod tests;
