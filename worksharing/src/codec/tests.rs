use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;

const LIMIT: usize = 1 << 20;

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    value: &T,
    self_describing: bool,
) -> Codec {
    let (codec, payload) = encode(value, self_describing, LIMIT).unwrap();
    let back: T = decode(codec, &payload, LIMIT).unwrap();
    assert_eq!(&back, value);
    codec
}

fn both_ways<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    assert_eq!(round_trip(value, false), Codec::Bincode);
    assert_eq!(round_trip(value, true), Codec::MessagePack);
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Choice {
    Unit,
    New(u8),
    Tuple(i64, String),
    Struct { a: Option<bool>, b: Vec<Choice> },
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Everything<'a> {
    unit: (),
    text: Cow<'a, str>,
    char: char,
    choices: Vec<Choice>,
    keys: BTreeMap<(i32, Option<u8>), String>,
}

#[test]
fn everything_comes_back() {
    let choices = || {
        vec![
            Choice::Unit,
            Choice::New(9),
            Choice::Tuple(-1, "ß".into()),
            Choice::Struct {
                a: Some(true),
                b: vec![Choice::Unit],
            },
        ]
    };
    both_ways(&Everything {
        unit: (),
        text: "text".into(),
        char: '∞',
        choices: choices(),
        keys: [((-4, None), "x".into()), ((7, Some(1)), String::new())].into(),
    });
    both_ways(&HashMap::from([(1u64, 'a'), (u64::MAX, 'b')]));
    both_ways(&std::time::Duration::new(5, 7));
    both_ways(&"127.0.0.1".parse::<std::net::IpAddr>().unwrap());
}

proptest! {
    #[test]
    fn numbers_come_back(a: i128, b: u128, c: i64, d: u64, e: i8) {
        both_ways(&(a, b, c, d, e));
    }

    #[test]
    fn floats_keep_their_bits(a: u32, b: u64) {
        for self_describing in [false, true] {
            let value = (f32::from_bits(a), f64::from_bits(b));
            let (codec, payload) = encode(&value, self_describing, LIMIT).unwrap();
            let (x, y): (f32, f64) = decode(codec, &payload, LIMIT).unwrap();
            prop_assert_eq!((x.to_bits(), y.to_bits()), (a, b));
        }
    }
}
