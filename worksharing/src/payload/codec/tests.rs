use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::*;
use crate::payload::fingerprint::fingerprint;

const LIMIT: usize = 1 << 20;

/// Nothing but a payload, of at most this size.
fn encode<T: Serialize + ?Sized>(
    value: &T,
    names: Names,
    limit: usize,
) -> Result<(Codec, Vec<u8>), Unencodable> {
    let room = Room {
        before: 0,
        behind: 0,
        limit,
    };
    super::encode(value, names, room).map(|Encoded { codec, bytes }| (codec, bytes))
}

fn encoded<T: Serialize + DeserializeOwned>(value: &T) -> Result<(Codec, Vec<u8>), Unencodable> {
    encode(value, fingerprint::<T>(0).names, LIMIT)
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    value: &T,
    names: Names,
) -> Codec {
    let (codec, payload) = encode(value, names, LIMIT).unwrap();
    let back: T = decode(codec, &payload).unwrap();
    assert_eq!(&back, value);
    codec
}

/// A type that bincode carries comes back by MessagePack too.
fn both_ways<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let names = fingerprint::<T>(0).names;
    assert_eq!(round_trip(value, names), Codec::Bincode);
    let names = Names {
        required: true,
        ..names
    };
    assert_eq!(round_trip(value, names), Codec::MessagePack);
}

fn by_names<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    assert_eq!(
        round_trip(value, fingerprint::<T>(0).names),
        Codec::MessagePack
    );
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
    #[serde(skip)]
    skipped: u8,
    bytes: Bytes,
}

/// As `serde_bytes` does it.
#[derive(PartialEq, Debug)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[test]
fn everything_comes_back() {
    both_ways(&Everything {
        unit: (),
        text: "text".into(),
        char: '∞',
        choices: vec![
            Choice::Unit,
            Choice::New(9),
            Choice::Tuple(-1, "ß".into()),
            Choice::Struct {
                a: Some(true),
                b: vec![Choice::Unit],
            },
        ],
        keys: [((-4, None), "x".into()), ((7, Some(1)), String::new())].into(),
        skipped: 0,
        bytes: Bytes(vec![0, 255]),
    });
    both_ways(&HashMap::from([(1u64, 'a'), (u64::MAX, 'b')]));
    both_ways(&std::time::Duration::new(5, 7));
    both_ways(&std::time::SystemTime::UNIX_EPOCH);
    both_ways(&"127.0.0.1".parse::<std::net::IpAddr>().unwrap());
    both_ways(&[Ok::<u8, String>(1), Err("no".into())]);
}

proptest! {
    #[test]
    fn numbers_come_back(a: i128, b: u128, c: i64, d: u64, e: i8) {
        both_ways(&(a, b, c, d, e));
    }

    #[test]
    fn floats_keep_their_bits(a: u32, b: u64) {
        for required in [false, true] {
            let value = (f32::from_bits(a), f64::from_bits(b));
            let (codec, payload) = encode(&value, Names { required, known: &[] }, LIMIT).unwrap();
            let (x, y): (f32, f64) = decode(codec, &payload).unwrap();
            prop_assert_eq!((x.to_bits(), y.to_bits()), (a, b));
        }
    }
}

#[test]
fn types_that_need_names_come_back() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, f64>,
    }
    by_names(&Flat {
        a: 1,
        rest: [("x".into(), 0.5)].into(),
    });

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
        Text(String),
        Struct { x: i32, y: Option<Vec<u8>> },
    }
    by_names(&vec![
        Untagged::Number(7),
        Untagged::Text("t".into()),
        Untagged::Struct { x: -1, y: None },
        Untagged::Struct {
            x: 1,
            y: Some(vec![1, 2]),
        },
    ]);

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(tag = "type")]
    enum Tagged {
        A { x: u8 },
        B,
    }
    by_names(&(Tagged::A { x: 1 }, Tagged::B));

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(tag = "t", content = "c")]
    enum Adjacent {
        A { x: u8 },
        B,
        C(u8, String),
    }
    by_names(&[
        Adjacent::A { x: 1 },
        Adjacent::B,
        Adjacent::C(1, "c".into()),
    ]);
    let json = serde_json::json!({"a": [1, -2, 0.5, null, true, {"b": "c"}], "d": u64::MAX});
    by_names(&json);
}

/// Bincode would read what comes after as something else.
#[test]
fn one_sided_types_come_back_by_names() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Lean {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<u8>,
        count: u8,
    }
    by_names(&Lean {
        note: None,
        count: 5,
    });
    both_ways(&Lean {
        note: Some(1),
        count: 5,
    });

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Secret {
        #[serde(skip_serializing, default)]
        password: u8,
        #[serde(skip_deserializing)]
        derived: u8,
        count: u8,
    }
    by_names(&Secret {
        password: 0,
        derived: 0,
        count: 5,
    });

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct SecretLast {
        count: u8,
        #[serde(skip_serializing, default)]
        password: u8,
    }
    let last = SecretLast {
        count: 5,
        password: 0,
    };
    by_names(&[
        last,
        SecretLast {
            count: 6,
            password: 0,
        },
    ]);

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[allow(dead_code)]
    enum Skipping {
        A,
        #[serde(skip)]
        Skipped,
        B(u8),
        C(u8),
        D {
            #[serde(skip_serializing, default)]
            x: u8,
            y: u8,
        },
    }
    by_names(&Skipping::B(1));
    by_names(&Skipping::D { x: 0, y: 3 });
    both_ways(&Skipping::A);
}

#[test]
fn two_types_of_one_name_are_told_apart() {
    mod other {
        #[derive(super::Serialize, super::Deserialize, PartialEq, Debug)]
        pub(super) struct Point {
            pub(super) a: u8,
            pub(super) y: u8,
        }
    }
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Point {
        a: u8,
        b: u8,
    }
    both_ways(&(
        other::Point { a: 1, y: 2 },
        Point { a: 3, b: 4 },
        other::Point { a: 1, y: 2 },
    ));
}

#[test]
fn nested_nones_are_never_confused() {
    both_once(&Some(None::<u8>));
    both_once(&vec![None, Some(None), Some(Some(()))]);
    let json = Some(serde_json::Value::Null);
    assert_eq!(encoded(&json), Err(Unencodable::NestedNone));
    by_names(&None::<serde_json::Value>);
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct New<T>(T);
    let names = Names {
        required: true,
        known: &[],
    };
    assert_eq!(
        encode(&Some(New(None::<u8>)), names, LIMIT),
        Err(Unencodable::NestedNone)
    );
}

fn both_once<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    assert_eq!(round_trip(value, fingerprint::<T>(0).names), Codec::Bincode);
    let names = Names {
        required: true,
        known: &[],
    };
    assert_eq!(encode(value, names, LIMIT), Err(Unencodable::NestedNone));
}

#[test]
fn a_value_over_the_limit_is_refused() {
    for required in [false, true] {
        let names = Names {
            required,
            known: &[],
        };
        let large = encode(&vec![7u8; 1000], names, 1001);
        assert_eq!(large, Err(Unencodable::TooLarge));
        assert!(encode(&vec![7u8; 1000], names, 1003).is_ok());
        assert_eq!(
            encode(&"x".repeat(1001), names, 1000),
            Err(Unencodable::TooLarge)
        );
    }
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Chain {
    Link(Box<Chain>),
    End,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Wide {
    next: Option<Box<Wide>>,
    space: [u64; 32],
}

#[test]
fn depth_is_bounded_at_both_ends() {
    let chain = |links| (0..links).fold(Chain::End, |chain, _| Chain::Link(Box::new(chain)));
    both_ways(&chain(MAX_DEPTH));
    assert_eq!(encoded(&chain(MAX_DEPTH + 1)), Err(Unencodable::TooDeep));
    let link = encoded(&chain(1)).unwrap().1[0];
    assert!(decode::<Chain>(Codec::Bincode, &vec![link; LIMIT]).is_err());
    // Half of what a thread commonly has, for large frames of a debug build.
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let wide = move || assert!(decode::<Wide>(Codec::Bincode, &vec![1; LIMIT]).is_err());
    small.spawn(wide).unwrap().join().unwrap();
    let link = rmp_serde::to_vec_named(&chain(1)).unwrap();
    let link = &link[..link.len() - rmp_serde::to_vec_named(&Chain::End).unwrap().len()];
    assert!(decode::<Chain>(Codec::MessagePack, &link.repeat(100_000)).is_err());
    // MessagePack writes what nobody reads as deep as one likes.
    assert!(decode::<IgnoredAny>(Codec::MessagePack, &vec![0x91; LIMIT]).is_err());
}

#[test]
fn elements_without_bytes_are_bounded_at_both_ends() {
    both_ways(&vec![(); FREE_ELEMENTS]);
    let names = Names {
        required: false,
        known: &[],
    };
    assert_eq!(
        encode(&vec![(); FREE_ELEMENTS * 2], names, LIMIT),
        Err(Unencodable::TooManyElements)
    );
    let hostile = encoded(&u64::MAX).unwrap().1;
    assert!(decode::<Vec<()>>(Codec::Bincode, &hostile).is_err());
}

#[test]
fn hostile_lengths_allocate_nothing() {
    // Each of these would abort if the length were believed.
    let length = encoded(&(u64::MAX >> 1)).unwrap().1;
    assert!(decode::<Vec<u64>>(Codec::Bincode, &length).is_err());
    assert!(decode::<String>(Codec::Bincode, &length).is_err());
    assert!(decode::<Bytes>(Codec::Bincode, &length).is_err());
    assert!(decode::<HashMap<u64, u64>>(Codec::Bincode, &length).is_err());
    for marker in [0xdb, 0xc6, 0xdd, 0xdf] {
        let payload = [marker, 0xff, 0xff, 0xff, 0xff];
        assert!(decode::<serde_json::Value>(Codec::MessagePack, &payload).is_err());
        assert!(decode::<Vec<u64>>(Codec::MessagePack, &payload).is_err());
        assert!(decode::<String>(Codec::MessagePack, &payload).is_err());
    }
}

#[test]
fn bytes_after_the_value_are_refused() {
    for codec in [Codec::Bincode, Codec::MessagePack] {
        assert_eq!(decode::<u8>(codec, &[7]), Ok(7));
        assert_eq!(
            decode::<u8>(codec, &[7, 7, 7]),
            Err(Undecodable::Overlong { left: 2 })
        );
    }
}

proptest! {
    #[test]
    fn any_payload_is_a_value_or_an_error(payload: Vec<u8>) {
        for codec in [Codec::Bincode, Codec::MessagePack] {
            let _ = decode::<Everything<'_>>(codec, &payload);
            let _ = decode::<(u8, Vec<Chain>)>(codec, &payload);
            let _ = decode::<serde_json::Value>(codec, &payload);
            let _ = decode::<HashMap<String, Vec<Option<char>>>>(codec, &payload);
        }
    }
}

#[test]
fn none_is_seen_at_the_top_only() {
    struct Untouchable;
    impl Serialize for Untouchable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("looked at what is inside")
        }
    }
    assert!(is_none(&None::<u8>));
    assert!(is_none(&&Box::new(None::<u8>)));
    assert!(!is_none(&Err::<(), _>(Untouchable)));
    assert!(!is_none(&Ok::<_, ()>(Untouchable)));
    assert!(!is_none(&Some(Untouchable)));
    assert!(!is_none(&(Untouchable, 1)));
    assert!(!is_none(&vec![Untouchable]));
    assert!(!is_none(&()));
    assert!(!is_none(&"None"));
}

/// The type decides what is a failure: an `Err` inside a value is a value.
#[test]
fn an_err_is_a_value() {
    both_ways(&Err::<u8, _>("no".to_owned()));
}

mod panics {
    use super::*;

    struct Sulks;

    impl Serialize for Sulks {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("a test's own: `Serialize` of odd data")
        }
    }

    impl<'de> Deserialize<'de> for Sulks {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let _ = u8::deserialize(deserializer)?;
            panic!("a test's own: `Deserialize` of odd data")
        }
    }

    #[test]
    fn of_a_serialize_are_an_error() {
        let names = Names {
            required: false,
            known: &[],
        };
        let refused = encode(&(1u8, Sulks), names, LIMIT);
        assert!(matches!(refused, Err(Unencodable::Refused(why)) if why.contains("panicked")));
        assert!(!is_none(&Sulks));
    }

    #[test]
    fn of_a_deserialize_are_an_error() {
        for codec in [Codec::Bincode, Codec::MessagePack] {
            let refused = decode::<Sulks>(codec, &[7]);
            assert!(matches!(refused, Err(Undecodable::Refused(why)) if why.contains("panicked")));
        }
    }
}

mod room {
    use super::*;

    #[test]
    fn is_left_before_a_payload() {
        let names = |required| Names {
            required,
            known: &[],
        };
        for required in [false, true] {
            let room = Room {
                before: 100,
                behind: 50,
                limit: 1000,
            };
            let alone = encode(&"x".repeat(900), names(required), 1000).unwrap().1;
            let bytes = super::super::encode(&"x".repeat(900), names(required), room)
                .unwrap()
                .bytes;
            assert_eq!(bytes, [&[0; 100], &alone[..]].concat());
            assert!(bytes.capacity() >= bytes.len() + 50);
            let large = super::super::encode(&"x".repeat(1000), names(required), room);
            assert_eq!(large, Err(Unencodable::TooLarge));
        }
    }

    /// The limit is looked at before anything is allocated: a string in a hundred rows is there once.
    #[test]
    fn is_judged_before_anything_is_written() {
        struct Reads<'a>(&'a std::cell::Cell<usize>);
        impl Serialize for Reads<'_> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.set(self.0.get() + 1);
                serializer.serialize_str("0123456789")
            }
        }
        let reads = std::cell::Cell::new(0);
        let rows: Vec<_> = (0..100).map(|_| Reads(&reads)).collect();
        let names = Names {
            required: false,
            known: &[],
        };
        assert_eq!(encode(&rows, names, 55), Err(Unencodable::TooLarge));
        assert_eq!(reads.get(), 6);
    }
}
