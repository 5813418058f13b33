//! The payload of an entry: a value as bytes, and back.
//!
//! Bincode is compact and fast, but positional: it needs reader and writer to agree on every field.
//! Serde types may break that (`flatten`, `untagged`, `tag`, `skip_serializing`, `skip` before other
//! variants, `serde_json::Value`); those go by MessagePack with named fields. MessagePack in turn cannot tell
//! `Some(None)` from `None`, so it is used only where bincode cannot be, and such a value is refused
//! there rather than read back as another.
//!
//! Both ends count: what [`decode`] would refuse as hostile, [`encode`] refuses to write.

mod check;
mod guard;
mod is_none;
mod names;
mod sink;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde::de::DeserializeOwned;

use guard::Guard;
pub(crate) use is_none::is_none;
pub(crate) use names::{Members, Names, Owner};
use sink::Sink;

/// How deep a value may be nested: a hostile payload must not overflow the reader's stack.
const MAX_DEPTH: u32 = 128;
/// The same for the reader, who may count a level more here and there.
const MAX_READ_DEPTH: u32 = 2 * MAX_DEPTH;
/// How many elements of sequences and maps there may be beyond one for each byte of the payload.
/// Elements such as `()` take no bytes, so their number needs a bound of its own.
const FREE_ELEMENTS: usize = 1 << 16;

/// How a payload is written. The numbers are frozen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Codec {
    Bincode = 1,
    MessagePack = 2,
}

impl Codec {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Bincode, Self::MessagePack]
            .into_iter()
            .find(|&codec| codec as u8 == byte)
    }
}

/// Why a value cannot be stored. It is returned to its caller all the same.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unencodable {
    TooLarge,
    TooDeep,
    /// Sequences of elements that take no bytes, far longer than the payload.
    TooManyElements,
    /// A `Some(None)` or `Some(())` in a type that only MessagePack can carry.
    NestedNone,
    /// The type's own `Serialize` or the codec refused.
    Refused(String),
}

/// Why a payload gives no value. To the caller it is a miss.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Undecodable {
    /// Bytes are left after the value.
    Overlong { left: usize },
    /// The type's own `Deserialize`, the codec or the bounds on depth and length refused.
    Refused(String),
}

/// Where a payload is to be encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Room {
    /// Bytes that stand before it in its buffer: zeros, for the caller to fill.
    pub(crate) before: usize,
    /// Bytes that the caller will put behind it.
    pub(crate) behind: usize,
    /// How many it may have itself.
    pub(crate) limit: usize,
}

/// A payload in its buffer, behind the bytes that are still to be filled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Encoded {
    pub(crate) codec: Codec,
    pub(crate) bytes: Vec<u8>,
}

/// Encodes a value. `names` are those that its type reads.
pub(crate) fn encode<T: Serialize + ?Sized>(
    value: &T,
    names: Names,
    room: Room,
) -> Result<Encoded, Unencodable> {
    let panicked = |()| Err(Unencodable::Refused("its `Serialize` panicked".to_owned()));
    caught(|| encode_trusting(value, names, room)).unwrap_or_else(panicked)
}

fn encode_trusting<T: Serialize + ?Sized>(
    value: &T,
    names: Names,
    room: Room,
) -> Result<Encoded, Unencodable> {
    let found = check::walk(value, names, room.limit)?;
    if found.needs_names && found.nested_none {
        return Err(Unencodable::NestedNone);
    }
    let mut sink = Sink::new(room, found.least_bytes);
    let (codec, written) = if found.needs_names {
        (Codec::MessagePack, write_messagepack(value, &mut sink))
    } else {
        (Codec::Bincode, write_bincode(value, &mut sink))
    };
    if sink.full {
        return Err(Unencodable::TooLarge);
    }
    written.map_err(Unencodable::Refused)?;
    let bytes = sink.bytes;
    if found.elements > element_budget(bytes.len() - room.before) {
        return Err(Unencodable::TooManyElements);
    }
    Ok(Encoded { codec, bytes })
}

/// The value of a payload, whatever its bytes are: all of them must be used, and memory and depth are
/// bounded by their number.
pub(crate) fn decode<T: DeserializeOwned>(codec: Codec, payload: &[u8]) -> Result<T, Undecodable> {
    let panicked = |()| {
        Err(Undecodable::Refused(
            "its `Deserialize` panicked".to_owned(),
        ))
    };
    caught(|| decode_trusting(codec, payload)).unwrap_or_else(panicked)
}

fn decode_trusting<T: DeserializeOwned>(codec: Codec, payload: &[u8]) -> Result<T, Undecodable> {
    let found = payload.len();
    let guard = Guard::new(MAX_READ_DEPTH, element_budget(found));
    let (value, left) = match codec {
        Codec::Bincode => {
            let seed = guard.seed::<T>();
            bincode::serde::seed_decode_from_slice(seed, payload, bincode::config::standard())
                .map(|(value, read)| (value, found - read))
                .map_err(|error| Undecodable::Refused(error.to_string()))
        }
        Codec::MessagePack => {
            let mut deserializer = rmp_serde::Deserializer::new(payload);
            T::deserialize(guard.over(&mut deserializer))
                .map(|value| (value, deserializer.get_ref().len()))
                .map_err(|error| Undecodable::Refused(error.to_string()))
        }
    }?;
    if left > 0 {
        Err(Undecodable::Overlong { left })
    } else {
        Ok(value)
    }
}

/// Runs what the user's code is part of: where it panics, a stored value is a miss, and a computed one still
/// goes to its caller.
fn caught<R>(run: impl FnOnce() -> R) -> Result<R, ()> {
    catch_unwind(AssertUnwindSafe(run)).map_err(drop)
}

fn element_budget(payload: usize) -> usize {
    payload.saturating_add(FREE_ELEMENTS)
}

fn write_bincode<T: Serialize + ?Sized>(value: &T, sink: &mut Sink) -> Result<(), String> {
    bincode::serde::encode_into_writer(value, sink, bincode::config::standard())
        .map_err(|error| error.to_string())
}

fn write_messagepack<T: Serialize + ?Sized>(value: &T, sink: &mut Sink) -> Result<(), String> {
    let mut serializer = rmp_serde::Serializer::new(sink).with_struct_map();
    value
        .serialize(&mut serializer)
        .map_err(|error| error.to_string())
}

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("it is too large"),
            Self::TooDeep => write!(f, "it is nested deeper than {MAX_DEPTH} levels"),
            Self::TooManyElements => {
                f.write_str("it has a sequence of elements without content that is too long")
            }
            Self::NestedNone => f.write_str(
                "its type needs a self-describing format (flatten, untagged, tag, skip_serializing_if or \
                 serde_json::Value), in which `Some(None)` and `None` are the same",
            ),
            Self::Refused(message) => write!(f, "it cannot be serialized: {message}"),
        }
    }
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlong { left } => write!(f, "a payload with {left} bytes after its value"),
            Self::Refused(message) => write!(f, "a payload that cannot be deserialized: {message}"),
        }
    }
}

#[cfg(test)]
mod tests;
