//! What a policy says of what is stored, without the types of it.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::payload::codec::{self, Codec, Names, Room, Unencodable};
use crate::payload::entry::Kind;
use crate::payload::fingerprint::{Fingerprint, fingerprint};

/// What is stored of an outcome, and for how long it is fresh.
#[derive(Clone, Copy)]
pub struct Storable<'r> {
    pub(crate) kind: Kind,
    pub(crate) payload: &'r dyn Payload,
    /// `None`: it is not stored, and only for those who wait.
    pub(crate) lifetime: Option<Duration>,
}

impl<'r> Storable<'r> {
    pub(super) fn value(value: &'r impl Payload, lifetime: Option<Duration>) -> Self {
        Self {
            kind: Kind::Value,
            payload: value,
            lifetime,
        }
    }

    pub(super) fn error(error: &'r impl Payload, lifetime: Duration) -> Self {
        Self {
            kind: Kind::Error,
            payload: error,
            lifetime: Some(lifetime).filter(|lifetime| !lifetime.is_zero()),
        }
    }
}

/// Something that can be encoded.
pub(crate) trait Payload {
    fn fingerprint(&self, version: u32) -> Fingerprint;

    fn encode(&self, names: Names, room: Room) -> Result<codec::Encoded, Unencodable>;
}

impl<T: Serialize + DeserializeOwned> Payload for T {
    fn fingerprint(&self, version: u32) -> Fingerprint {
        fingerprint::<T>(version)
    }

    fn encode(&self, names: Names, room: Room) -> Result<codec::Encoded, Unencodable> {
        codec::encode(self, names, room)
    }
}

/// A payload that was stored.
#[derive(Clone, Copy, Debug)]
pub struct Encoded<'a> {
    pub(crate) codec: Codec,
    pub(crate) payload: &'a [u8],
}

impl Encoded<'_> {
    pub(crate) fn decode<T: DeserializeOwned>(self) -> Result<T, String> {
        codec::decode(self.codec, self.payload).map_err(|error| error.to_string())
    }
}
