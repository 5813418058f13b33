//! The structure of a type as serde sees it, as one number. An entry made from another structure is
//! a miss: bincode is positional, so that a struct changed between two deployed versions would be
//! read as wrong data.
//!
//! It is found by tracing: `T::deserialize` runs over a deserializer that makes values up and notes
//! what it is asked for, again and again until every variant of every enum was seen. What cannot be
//! reached, because a type rejects every made-up value, is covered by the type's name.
//!
//! A type may also panic at one. That is a rejection like any other where panics unwind. Where they abort the
//! program nothing is made up: what `T::deserialize` asks for is noted and refused, so that it shows its fields,
//! variants and elements, and no code that judges values runs. Tuples and the like then show their first
//! element only, and are told by their names; such programs write MessagePack, whose names tell the rest.

mod access;
mod candidates;
mod deserializer;
mod error;
mod explore;
mod node;
mod quiet;
mod variants;

use std::any::type_name;
use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use serde::de::DeserializeOwned;

use crate::payload::codec::Names;
use deserializer::Trace;
use explore::Tracer;
use quiet::quietly;

/// What is known of a type by its `Deserialize`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fingerprint {
    /// Another structure has another hash, and so has another `version`.
    pub(crate) hash: u64,
    /// What the codec has to know of the type.
    pub(crate) names: Names,
}

/// The fingerprint of a type, traced at its first use.
pub(crate) fn fingerprint<T: DeserializeOwned>(version: u32) -> Fingerprint {
    /// By the address of `trace::<T>`: `T` need not be `'static`, so it has no `TypeId`. Functions
    /// that the linker merged are the same code, with the same result.
    static TRACED: LazyLock<RwLock<HashMap<usize, Fingerprint>>> = LazyLock::new(RwLock::default);

    let address = trace::<T> as fn() -> Fingerprint as usize;
    let known = TRACED
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&address)
        .copied();
    let traced = known.unwrap_or_else(|| {
        let traced = trace::<T>();
        TRACED
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(address, traced);
        traced
    });
    Fingerprint {
        hash: mix(traced.hash, version),
        ..traced
    }
}

fn trace<T: DeserializeOwned>() -> Fingerprint {
    explored::<T>(cfg!(panic = "unwind")).fingerprint(type_name::<T>())
}

fn explored<T: DeserializeOwned>(makes_up: bool) -> Tracer {
    let tracer = Tracer::new(makes_up);
    quietly(|| tracer.explore(&mut || T::deserialize(Trace::root(&tracer)).map(drop)));
    tracer
}

/// Version 0, the default, leaves the hash as it is; every other one is a bijection away.
fn mix(hash: u64, version: u32) -> u64 {
    hash ^ u64::from(version).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests;
