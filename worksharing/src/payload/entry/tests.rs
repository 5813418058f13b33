use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::payload::codec;

const LIMIT: usize = 1 << 20;

fn data(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(file)
}

fn entry<'a>(characteristic: &'a str, body: Body<'a>) -> Entry<'a> {
    Entry {
        id: EntryId(*b"0123456789abcdef"),
        fingerprint: 0x0102_0304_0506_0708,
        computed_at: UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456),
        compute_time: Duration::from_micros(2_500_000),
        characteristic,
        body,
    }
}

/// Every format version that was ever written must be here, and must be read, or be refused by its
/// version.
#[test]
fn golden_bytes_are_frozen() {
    let payload = |value, names| codec::encode(&value, names, LIMIT).unwrap();
    let value = (7u32, Some("ß"), vec![-1i64, 300]);
    for (file, required) in [
        ("entry-v1-bincode.bin", false),
        ("entry-v1-messagepack.bin", true),
    ] {
        let names = codec::Names {
            required,
            known: &[],
        };
        let (codec, payload) = payload(value.clone(), names);
        let golden = fs::read(data(file)).unwrap();
        let expected = entry(
            "report:2024:DE",
            Body::Value {
                codec,
                payload: &payload,
            },
        );
        assert_eq!(Entry::parse(&golden), Ok(expected), "{file}");
        assert_eq!(expected.to_bytes(), golden, "{file}");
    }
    let golden = fs::read(data("entry-v1-tombstone.bin")).unwrap();
    let expected = entry("report:2024:DE", Body::Tombstone);
    assert_eq!(Entry::parse(&golden), Ok(expected));
    assert_eq!(expected.to_bytes(), golden);
}

#[test]
fn the_first_bytes_are_those_of_the_fence() {
    use crate::store::Seen;

    let [one, mut other] = [entry("a", Body::Tombstone); 2];
    other.id = EntryId::random();
    let seen = |entry: &Entry<'_>| Seen::of(Some(&entry.to_bytes()));
    assert_eq!(seen(&one), seen(&entry("a", Body::Tombstone)));
    assert_ne!(seen(&one), seen(&other));
    assert_eq!(&one.to_bytes()[8..Seen::LEN], b"0123456789abcdef");
}

#[test]
fn no_two_ids_are_the_same() {
    let ids: Vec<_> = std::thread::scope(|scope| {
        let some = || (0..10_000).map(|_| EntryId::random().0).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(some)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 40_000);
}

#[test]
fn every_flipped_bit_and_every_other_length_is_noticed() {
    let payload = [0, 1, 2, 255, 254];
    let body = Body::Value {
        codec: Codec::Bincode,
        payload: &payload,
    };
    for body in [body, Body::Tombstone] {
        let bytes = entry("key ß", body).to_bytes();
        assert!(Entry::parse(&bytes).is_ok());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Entry::parse(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(
                Entry::parse(&bytes[..len]),
                Err(Unreadable::Truncated { found: len })
            );
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(
            Entry::parse(&longer),
            Err(Unreadable::Overlong {
                found: longer.len()
            })
        );
    }
}

/// An entry with these bytes changed, and a checksum that is right.
fn forged(changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = entry(
        "key",
        Body::Value {
            codec: Codec::Bincode,
            payload: b"x",
        },
    )
    .to_bytes()
    .to_vec();
    for &(at, byte) in changes {
        bytes[at] = byte;
    }
    let end = bytes.len() - CHECKSUM;
    let checksum = crc32fast::hash(&bytes[..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&checksum);
    bytes
}

#[test]
fn what_is_wrong_is_said() {
    let reason = |changes: &[(usize, u8)]| Entry::parse(&forged(changes)).err();
    assert_eq!(reason(&[]), None);
    assert_eq!(reason(&[(0, 0)]), Some(Unreadable::NotAnEntry));
    assert_eq!(reason(&[(4, 9)]), Some(Unreadable::Version(9)));
    assert_eq!(reason(&[(5, 9)]), Some(Unreadable::Kind(9)));
    assert_eq!(reason(&[(6, 9)]), Some(Unreadable::Codec(9)));
    assert_eq!(reason(&[(7, 9)]), None, "reserved");
    assert_eq!(reason(&[(HEADER, 0xff)]), Some(Unreadable::Characteristic));
    assert!(matches!(
        reason(&[(55, 0xff), (63, 0xff)]),
        Some(Unreadable::Truncated { .. })
    ));
    assert_eq!(
        reason(&[(39, 0xff), (47, 0xff)]),
        None,
        "times of the far future"
    );
    let message = Unreadable::Version(9).to_string();
    assert_eq!(
        message,
        "an entry of format version 9; this crate reads version 1"
    );
}

/// What the fuzz target does, too.
fn read_anyhow(bytes: &[u8]) -> bool {
    let parsed = Entry::parse(bytes);
    if let Ok(Entry {
        body: Body::Value { codec, payload },
        ..
    }) = parsed
    {
        let _ = codec::decode::<serde_json::Value>(codec, payload, LIMIT);
        let _ = codec::decode::<(u8, Vec<Option<String>>)>(codec, payload, LIMIT);
    }
    parsed.is_ok()
}

#[test]
fn the_corpus_is_read_without_panics() {
    let files = fs::read_dir(data("corpus/entry")).unwrap();
    let read = files
        .map(|file| read_anyhow(&fs::read(file.unwrap().path()).unwrap()))
        .collect::<Vec<_>>();
    assert!(read.len() >= 8 && read.contains(&true) && read.contains(&false));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_entry(bytes: Vec<u8>, behind_magic: bool) {
        let magic: &[u8] = if behind_magic { b"\x89WSE\x01\x01\x01\x00" } else { b"" };
        prop_assert!(!read_anyhow(&[magic, &bytes].concat()));
    }

    #[test]
    fn what_is_written_is_read(
        fingerprint: u64,
        at in 0u64..1 << 60,
        took in 0u64..1 << 60,
        characteristic: String,
        payload: Vec<u8>,
    ) {
        let entry = Entry {
            id: EntryId::random(),
            fingerprint,
            computed_at: UNIX_EPOCH + Duration::from_micros(at),
            compute_time: Duration::from_micros(took),
            characteristic: &characteristic,
            body: Body::Value { codec: Codec::MessagePack, payload: &payload },
        };
        let bytes = entry.to_bytes();
        prop_assert_eq!(Entry::parse(&bytes), Ok(entry));
    }

    #[test]
    fn a_mutated_entry_is_unreadable(
        payload: Vec<u8>,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let body = Body::Value { codec: Codec::Bincode, payload: &payload };
        let bytes = entry("key", body).to_bytes();
        let mut mutated = bytes.to_vec();
        for (index, byte) in changes {
            let at = index.index(mutated.len());
            mutated[at] = byte;
        }
        prop_assume!(mutated != bytes);
        prop_assert!(Entry::parse(&mutated).is_err());
    }
}
