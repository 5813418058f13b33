//! Whatever bytes a store gives back: an entry, a value, or a miss; never a panic, a hang, or memory
//! beyond measure.
//!
//! The modules are the crate's own files: they are private to it, and stay so.
#![no_main]
#![allow(dead_code, unused_imports, unreachable_pub)]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use serde::Deserialize;

#[path = "../../src/payload/codec/mod.rs"]
mod codec;
#[path = "../../src/payload/entry/mod.rs"]
mod entry;

use codec::Codec;
use entry::{Body, Entry};

const LIMIT: usize = 1 << 20;

#[derive(Deserialize)]
struct Record {
    text: String,
    numbers: Vec<(u8, i128, Option<f64>)>,
    map: HashMap<String, Vec<Record>>,
    choice: Choice,
}

#[derive(Deserialize)]
enum Choice {
    Unit,
    Deeper(Box<Choice>),
    Fields { units: Vec<()>, char: char },
}

fn decode_all(codec: Codec, payload: &[u8]) {
    let _ = codec::decode::<Record>(codec, payload, LIMIT);
    let _ = codec::decode::<Vec<Choice>>(codec, payload, LIMIT);
    let _ = codec::decode::<serde_json::Value>(codec, payload, LIMIT);
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Entry { body: Body::Value { codec, payload }, .. }) = Entry::parse(bytes) {
        decode_all(codec, payload);
    }
    // Few inputs have a right checksum, so the codecs get the bytes themselves, too.
    decode_all(Codec::Bincode, bytes);
    decode_all(Codec::MessagePack, bytes);
});
