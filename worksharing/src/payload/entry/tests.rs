use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::payload::codec::{self, Codec, Encoded, Names};
use crate::store::Seen;

const LIMIT: usize = 1 << 20;
const KEY: &str = "report:2024:DE";

fn data(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(file)
}

fn header(kind: Kind) -> Header {
    Header {
        kind,
        id: EntryId(*b"0123456789abcdef"),
        based_on: EntryId(*b"ghijklmnopqrstuv"),
        fingerprint: 0x0102_0304_0506_0708,
        fresh_for: Duration::from_secs(60),
        keep_for: Duration::from_secs(3_600),
        age: Duration::ZERO,
        compute_time: Duration::from_micros(2_500_000),
        tags: 0x1112_1314_1516_1718,
    }
}

/// What a reader takes whose types these are.
fn own(header: Header) -> Types {
    let Header { fingerprint, .. } = header;
    let error = (header.kind == Kind::Error).then_some(fingerprint);
    Types::new(fingerprint, error)
}

/// What is behind the new frame, of another type and older.
fn older() -> Header {
    Header {
        id: EntryId(*b"ABCDEFGHIJKLMNOP"),
        based_on: EntryId::NONE,
        fingerprint: 7,
        ..header(Kind::Value)
    }
}

fn names(required: bool) -> Names {
    Names {
        required,
        known: &[],
    }
}

/// An entry with a payload that is encoded into it.
fn entry(draft: Draft<'_>, required: bool) -> Written {
    let value = (7u32, Some("ß"), vec![-1i64, 300]);
    let payload = codec::encode(&value, names(required), draft.room()).unwrap();
    draft.finish(payload)
}

/// An entry with this payload.
fn written(draft: Draft<'_>, payload: &[u8]) -> Written {
    let mut bytes = vec![0; draft.room().before];
    bytes.extend_from_slice(payload);
    draft.finish(Encoded {
        codec: Codec::Bincode,
        bytes,
    })
}

fn alone(header: Header) -> Draft<'static> {
    Draft::new(header, KEY, None, LIMIT)
}

/// `header` with an `older` frame behind it, that has lived for ten minutes of its hour.
fn two(max_bytes: usize, payload: &[u8], older_payload: &[u8]) -> Written {
    let old = written(alone(older()), older_payload);
    let old = Container::parse(&old.bytes).unwrap();
    let carried = old.live_besides(&own(header(Kind::Value)), Duration::from_secs(3_000));
    let draft = Draft::new(header(Kind::Value), KEY, Some(carried.unwrap()), max_bytes);
    written(draft, payload)
}

/// Every format version that was ever written must be here, and must be read, or be refused by its
/// version.
#[test]
fn golden_bytes_are_frozen() {
    let tombstone = Header {
        fingerprint: 0,
        ..header(Kind::Tombstone)
    };
    let marker = Header {
        kind: Kind::Marker,
        ..tombstone
    };
    for (file, expected) in [
        (
            "entry-v2-bincode.bin",
            entry(alone(header(Kind::Value)), false),
        ),
        (
            "entry-v2-messagepack.bin",
            entry(alone(header(Kind::Value)), true),
        ),
        (
            "entry-v2-error.bin",
            entry(alone(header(Kind::Error)), false),
        ),
        ("entry-v2-tombstone.bin", alone(tombstone).without_payload()),
        ("entry-v2-marker.bin", alone(marker).without_payload()),
        ("entry-v2-two-frames.bin", two(LIMIT, b"new", b"older")),
    ] {
        let golden = fs::read(data(file)).unwrap();
        assert_eq!(expected.bytes, golden, "{file}");
        assert!(Container::parse(&golden).is_ok(), "{file}");
    }
    let first = fs::read(data("entry-v1.bin")).unwrap();
    assert_eq!(Container::parse(&first), Err(Unreadable::Version(1)));
}

#[test]
fn all_of_a_frame_is_read() {
    for kind in [Kind::Value, Kind::Error, Kind::Unknown(9)] {
        let header = header(kind);
        let entry = written(alone(header), b"payload");
        assert_eq!(entry.lives_for, header.keep_for);
        let container = Container::parse(&entry.bytes).unwrap();
        assert_eq!(container.characteristic, KEY);
        assert_eq!(container.newest.header, header);
        let payload = container.newest.payload();
        assert_eq!(payload, Ok((Codec::Bincode, &b"payload"[..])));
        assert_eq!(
            container.frame_of(&own(header)),
            (kind != Kind::Unknown(9)).then_some(&container.newest)
        );
        assert_eq!(container.frame_of(&Types::value(1)), None);
    }
    let tombstone = alone(Header::new(Kind::Tombstone, Duration::MAX)).without_payload();
    let tombstone = Container::parse(&tombstone.bytes).unwrap();
    assert_eq!(tombstone.newest.header.kind, Kind::Tombstone);
    assert_eq!(tombstone.newest.payload(), Err(Unreadable::Codec(0)));
}

#[test]
fn the_first_bytes_are_those_of_the_fence() {
    let seen = |header| Seen::of(Some(&alone(header).without_payload().bytes));
    let one = header(Kind::Tombstone);
    let other = Header {
        id: EntryId::random(),
        ..one
    };
    assert_eq!(seen(one), seen(one));
    assert_ne!(seen(one), seen(other));
    for bytes in [
        alone(one).without_payload().bytes,
        two(LIMIT, b"new", b"older").bytes,
    ] {
        assert_eq!(&bytes[8..Seen::LEN], b"0123456789abcdef");
    }
}

#[test]
fn no_two_ids_are_the_same() {
    let ids: Vec<_> = std::thread::scope(|scope| {
        let some = || (0..10_000).map(|_| EntryId::random()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(some)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 40_000);
    assert!(!ids.contains(&EntryId::NONE));
}

#[test]
fn each_type_finds_its_own_frame() {
    let entry = two(LIMIT, b"new", b"older");
    let container = Container::parse(&entry.bytes).unwrap();
    let payload = |header| {
        let frame = container.frame_of(&own(header));
        frame.unwrap().payload().unwrap().1
    };
    assert_eq!(payload(header(Kind::Value)), b"new");
    assert_eq!(payload(older()), b"older");
    assert_eq!(container.frame_of(&Types::value(1)), None);
}

/// By the store's clock alone: what a frame was when it was carried, and what its container has lived since.
#[test]
fn a_frame_ages_with_its_container() {
    let seconds = Duration::from_secs;
    let entry = two(LIMIT, b"new", b"older");
    assert_eq!(entry.lives_for, seconds(3_600));
    let container = Container::parse(&entry.bytes).unwrap();
    let older = container.frame_of(&own(older())).unwrap();
    for (left, lived) in [(3_600, 0), (3_599, 1), (100, 3_500), (4_000, 0)] {
        let age = |frame| container.age(frame, seconds(left));
        assert_eq!(age(&container.newest), seconds(lived));
        assert_eq!(age(older), seconds(600 + lived));
    }
    let far = Header {
        keep_for: Duration::MAX,
        age: Duration::from_micros(u64::MAX),
        ..header(Kind::Value)
    };
    let far = written(alone(far), b"");
    let far = Container::parse(&far.bytes).unwrap();
    assert!(far.age(&far.newest, Duration::ZERO) >= Duration::from_micros(u64::MAX));
}

#[test]
fn a_container_lives_for_as_long_as_one_of_its_frames() {
    let old = written(alone(older()), b"older");
    let old = Container::parse(&old.bytes).unwrap();
    let short = Header {
        keep_for: Duration::from_secs(1),
        ..header(Kind::Value)
    };
    let carried = old.live_besides(&own(short), Duration::from_secs(3_000));
    let entry = written(Draft::new(short, KEY, carried, LIMIT), b"new");
    assert_eq!(entry.lives_for, Duration::from_secs(3_000));
    let container = Container::parse(&entry.bytes).unwrap();
    let age = container.age(&container.newest, Duration::from_secs(2_998));
    assert_eq!(age, Duration::from_secs(2), "it is over: kept for 1 s");
}

#[test]
fn a_live_value_or_error_of_another_type_is_carried() {
    let carried = |bytes: &[u8], types: Types, left| {
        let container = Container::parse(bytes).unwrap();
        let carried = container.live_besides(&types, Duration::from_secs(left));
        carried.map(|carried| (carried.frame.header.fingerprint, carried.age.as_secs()))
    };
    let other = Types::value(1);
    for kind in [Kind::Value, Kind::Error, Kind::Unknown(9)] {
        let one = written(alone(header(kind)), b"").bytes;
        let header = header(kind);
        assert_eq!(carried(&one, other, 3_000), Some((header.fingerprint, 600)));
        assert_eq!(carried(&one, own(header), 3_000), None, "its own type");
        assert_eq!(carried(&one, other, 0), None, "its time is over");
    }
    for kind in [Kind::Tombstone, Kind::Marker] {
        let one = alone(header(kind)).without_payload().bytes;
        assert_eq!(carried(&one, other, 3_000), None, "{kind:?}");
    }
    let both = two(LIMIT, b"new", b"older").bytes;
    let newest = own(header(Kind::Value));
    assert_eq!(carried(&both, newest, 3_600), Some((7, 600)));
    let found = Some((newest.value, 0));
    assert_eq!(carried(&both, own(older()), 3_600), found);
    assert_eq!(carried(&both, other, 3_600), found, "the newest");
    assert_eq!(carried(&both, newest, 600), None, "it is an hour old");
}

/// A value and an error of one function do not stand side by side; those of two versions of it do.
#[test]
fn a_value_and_an_error_go_along_only_with_another_version() {
    for (kind, other_kind) in [(Kind::Value, Kind::Error), (Kind::Error, Kind::Value)] {
        let header = header(kind);
        let entry = written(alone(header), b"").bytes;
        let container = Container::parse(&entry).unwrap();
        let of = |kind, same: u64, other| match kind {
            Kind::Error => Types::new(other, Some(same)),
            _ => Types::new(same, Some(other)),
        };
        let same = header.fingerprint;
        for (types, is_own) in [
            (of(kind, same, same), true),
            (of(kind, same, 1), true),
            // Of the same structure, and yet another thing.
            (of(other_kind, same, 1), false),
            (of(kind, 1, 2), false),
        ] {
            let carried = container.live_besides(&types, Duration::from_secs(3_000));
            assert_eq!(carried.is_none(), is_own, "{kind:?} {types:?}");
            let found = container.frame_of(&types);
            assert_eq!(found.is_some(), is_own, "{kind:?} {types:?}");
        }
    }
}

#[test]
fn the_older_frame_goes_if_both_are_too_large() {
    let whole = two(LIMIT, b"new", b"older").bytes;
    let room = |max_bytes| {
        let old = Container::parse(&whole)
            .unwrap()
            .live_besides(&Types::value(1), Duration::MAX);
        Draft::new(header(Kind::Value), KEY, old, max_bytes).room()
    };
    assert_eq!(two(whole.len(), b"new", b"older").bytes, whole);
    let alone = written(alone(header(Kind::Value)), b"new");
    assert_eq!(two(whole.len() - 1, b"new", b"older"), alone);
    assert_eq!(room(alone.bytes.len()).limit, 3, "of the new frame alone");
    assert_eq!(room(0).limit, 0);
}

/// A payload is written where it stays: the buffer of the codec is that of the entry.
#[test]
fn a_payload_is_not_copied() {
    let draft = alone(header(Kind::Value));
    let payload = codec::encode(&vec![7u8; 100_000], names(false), draft.room()).unwrap();
    let buffer = payload.bytes.as_ptr();
    assert_eq!(draft.finish(payload).bytes.as_ptr(), buffer);
}

/// Reads all that there is to read of an entry.
fn all_of(bytes: &[u8]) -> Result<(), Unreadable> {
    let container = Container::parse(bytes)?;
    container.frames().try_for_each(|frame| match frame.codec {
        0 if frame.payload.is_empty() => Ok(()),
        _ => frame.payload().map(drop),
    })
}

#[test]
fn every_flipped_bit_and_every_other_length_is_noticed() {
    for bytes in [
        written(alone(header(Kind::Value)), &[0, 1, 2, 255, 254]).bytes,
        alone(header(Kind::Tombstone)).without_payload().bytes,
        two(LIMIT, b"new", b"older").bytes,
    ] {
        assert_eq!(all_of(&bytes), Ok(()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(all_of(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            let cut = Container::parse(&bytes[..len]);
            assert_eq!(cut, Err(Unreadable::Truncated));
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Container::parse(&longer), Err(Unreadable::Overlong));
    }
}

/// The header can be relied on while the payload is not looked at.
#[test]
fn a_header_does_not_hang_on_the_payload() {
    let mut bytes = two(LIMIT, b"new", b"older").bytes.to_vec();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    let container = Container::parse(&bytes).unwrap();
    assert!(container.newest.payload().is_ok());
    let older = container.frame_of(&own(older())).unwrap();
    assert_eq!(older.payload(), Err(Unreadable::Checksum));
}

/// An entry with these bytes changed, and a checksum of the header that is right.
fn forged(bytes: &[u8], changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for &(at, byte) in changes {
        bytes[at] = byte;
    }
    let end = PREFIX + usize::from(bytes[5]) * ROW + LENGTH + KEY.len();
    if let Some((header, rest)) = bytes.split_at_mut_checked(end)
        && let Some(checksum) = rest.get_mut(..CHECKSUM)
    {
        checksum.copy_from_slice(&crc32fast::hash(header).to_le_bytes());
    }
    bytes
}

#[test]
fn what_is_wrong_is_said() {
    let bytes = written(alone(header(Kind::Value)), b"x").bytes;
    let reason = |changes: &[(usize, u8)]| all_of(&forged(&bytes, changes)).err();
    let payload_length = PREFIX + 48;
    assert_eq!(reason(&[]), None);
    assert_eq!(reason(&[(0, 0)]), Some(Unreadable::NotAnEntry));
    assert_eq!(reason(&[(4, 9)]), Some(Unreadable::Version(9)));
    assert_eq!(reason(&[(5, 0)]), Some(Unreadable::Frames(0)));
    assert_eq!(reason(&[(5, 2)]), Some(Unreadable::Truncated));
    assert_eq!(reason(&[(5, 255)]), Some(Unreadable::Frames(255)));
    assert_eq!(reason(&[(6, 9), (7, 9)]), None, "reserved");
    assert_eq!(reason(&[(PREFIX + 40, 9)]), None, "an unknown kind");
    assert_eq!(reason(&[(PREFIX + 41, 9)]), Some(Unreadable::Codec(9)));
    assert_eq!(reason(&[(PREFIX + 42, 9)]), None, "reserved");
    assert_eq!(reason(&[(PREFIX + 44, 9)]), Some(Unreadable::Checksum));
    let text = PREFIX + ROW + LENGTH;
    assert_eq!(reason(&[(text, 0xff)]), Some(Unreadable::Characteristic));
    assert_eq!(reason(&[(payload_length, 0)]), Some(Unreadable::Overlong));
    for hostile in [payload_length, PREFIX + ROW] {
        for byte in 0..LENGTH {
            let reason = reason(&[(hostile + byte, 0xff)]);
            assert_eq!(reason, Some(Unreadable::Truncated), "{hostile} {byte}");
        }
    }
    let far: Vec<_> = (56..88).map(|at| (PREFIX + at, 0xff)).collect();
    assert_eq!(reason(&far), None, "times of the far future");
    let message = Unreadable::Version(9).to_string();
    assert_eq!(
        message,
        "an entry of format version 9; this crate reads version 2"
    );
}

/// Two frames whose lengths are right only together, or overlap.
#[test]
fn frames_share_no_bytes() {
    let bytes = two(LIMIT, b"new", b"older").bytes;
    let lengths = |new, old| {
        let changes = [(PREFIX + 48, new), (PREFIX + ROW + 48, old)];
        Container::parse(&forged(&bytes, &changes)).map(|_| ())
    };
    assert_eq!(lengths(3, 5), Ok(()));
    assert_eq!(lengths(3, 8), Err(Unreadable::Truncated));
    assert_eq!(lengths(8, 8), Err(Unreadable::Truncated));
    assert_eq!(lengths(3, 4), Err(Unreadable::Overlong));
    let shifted = forged(&bytes, &[(PREFIX + 48, 4), (PREFIX + ROW + 48, 4)]);
    assert_eq!(all_of(&shifted), Err(Unreadable::Checksum));
}

/// What the fuzz target does, too.
fn read_anyhow(bytes: &[u8]) -> bool {
    let Ok(container) = Container::parse(bytes) else {
        return false;
    };
    for frame in container.frames() {
        let _ = container.age(frame, Duration::from_secs(1));
        if let Ok((codec, payload)) = frame.payload() {
            let _ = codec::decode::<serde_json::Value>(codec, payload);
            let _ = codec::decode::<(u8, Vec<Option<String>>)>(codec, payload);
        }
    }
    if let Some(carried) = container.live_besides(&Types::value(0), Duration::from_secs(1)) {
        let draft = Draft::new(header(Kind::Value), KEY, Some(carried), LIMIT);
        assert!(Container::parse(&draft.without_payload().bytes).is_ok());
    }
    true
}

#[test]
fn the_corpus_is_read_without_panics() {
    let files = fs::read_dir(data("corpus/entry")).unwrap();
    let read = files
        .map(|file| read_anyhow(&fs::read(file.unwrap().path()).unwrap()))
        .collect::<Vec<_>>();
    assert!(read.len() >= 8 && read.contains(&true) && read.contains(&false));
}

prop_compose! {
    fn any_header()(
        kind in 1u8..6,
        ids: [[u8; 16]; 2],
        numbers: [u64; 6],
    ) -> Header {
        let [id, based_on] = ids.map(EntryId);
        let [fresh_for, keep_for, age, compute_time] =
            [0, 1, 2, 3].map(|at| Duration::from_micros(numbers[at]));
        Header {
            kind: Kind::from_byte(kind), id, based_on, fingerprint: numbers[4],
            fresh_for, keep_for, age, compute_time, tags: numbers[5],
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_entry(bytes: Vec<u8>, behind_magic: bool) {
        let magic: &[u8] = if behind_magic { b"\x89WSE\x02\x01\x00\x00" } else { b"" };
        prop_assert!(!read_anyhow(&[magic, &bytes].concat()));
    }

    #[test]
    fn arbitrary_rows_are_read_or_refused(
        changes in proptest::collection::vec((5..PREFIX + 2 * ROW + LENGTH, any::<u8>()), 0..20),
    ) {
        read_anyhow(&forged(&two(LIMIT, b"new", b"older").bytes, &changes));
    }

    #[test]
    fn what_is_written_is_read(
        header in any_header(),
        older in any_header(),
        left: u32,
        characteristic: String,
        payloads: [Vec<u8>; 2],
    ) {
        let left = Duration::from_secs(left.into());
        let [new, old] = &payloads;
        let before = written(Draft::new(older, &characteristic, None, LIMIT), old);
        let before = Container::parse(&before.bytes).unwrap();
        let carried = before.live_besides(&own(header), left);
        let entry = written(Draft::new(header, &characteristic, carried, LIMIT), new);
        let container = Container::parse(&entry.bytes).unwrap();
        prop_assert_eq!(container.characteristic, characteristic);
        prop_assert_eq!(container.newest.header, header);
        prop_assert_eq!(container.newest.payload(), Ok((Codec::Bincode, &new[..])));
        prop_assert_eq!(container.lives_for(), entry.lives_for);
        let found = container.frames().nth(1);
        prop_assert_eq!(found.is_some(), carried.is_some());
        if let Some(found) = found {
            prop_assert_eq!(found.payload, old);
            let age = before.age(&before.newest, left);
            prop_assert_eq!(found.header, Header { age, ..older });
        }
    }

    #[test]
    fn a_mutated_entry_is_unreadable(
        payload: Vec<u8>,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let bytes = two(LIMIT, &payload, b"older").bytes;
        let mut mutated = bytes.to_vec();
        for (index, byte) in changes {
            let at = index.index(mutated.len());
            mutated[at] = byte;
        }
        prop_assume!(mutated != bytes);
        prop_assert!(all_of(&mutated).is_err());
    }
}
