//! Whatever bytes a store gives back: an entry, a value, or a miss; never a panic, a hang, or memory
//! beyond measure.
//!
//! The modules are the crate's own files: they are private to it, and stay so.
#![no_main]
#![allow(dead_code, unused_imports, unreachable_pub)]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use serde::Deserialize;

#[path = "../../src/payload"]
mod payload {
    pub(crate) mod codec;
    pub(crate) mod entry;
}

use std::time::Duration;

use payload::codec::{self, Codec};
use payload::entry::{Container, Draft, Header, Kind, Types};

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
    let _ = codec::decode::<Record>(codec, payload);
    let _ = codec::decode::<Vec<Choice>>(codec, payload);
    let _ = codec::decode::<serde_json::Value>(codec, payload);
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(container) = Container::parse(bytes) {
        let left = Duration::from_secs(1);
        let newest = container.newest;
        let _ = container.age(&newest, left);
        if let Ok((codec, payload)) = newest.payload() {
            decode_all(codec, payload);
        }
        if let Some(carried) = container.live_besides(&Types::value(0), left) {
            let header = Header::new(Kind::Value, left);
            let draft = Draft::new(header, container.characteristic, Some(carried), usize::MAX);
            assert!(Container::parse(&draft.without_payload().bytes).is_ok());
        }
    }
    // Few inputs have a right checksum, so the codecs get the bytes themselves, too.
    decode_all(Codec::Bincode, bytes);
    decode_all(Codec::MessagePack, bytes);
});
