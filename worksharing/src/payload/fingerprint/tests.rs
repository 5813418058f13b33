use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize};

use super::*;

fn of<T: DeserializeOwned>() -> u64 {
    let traced = fingerprint::<T>(0);
    assert_eq!(trace::<T>(), traced, "the second trace differs");
    assert!(!traced.names.required, "{}", type_name::<T>());
    traced.hash
}

fn text<T: DeserializeOwned>() -> String {
    explored::<T>(true).describe(type_name::<T>())
}

/// Types of the same name, as one program would see them in two deployed versions.
macro_rules! versions {
    ($($version:ident { $($item:item)* })*) => {
        $(#[allow(dead_code)] pub(super) mod $version {
            use super::super::*;
            $($item)*
        })*
    };
}

macro_rules! all_different {
    ($($type:ty),* $(,)?) => {
        let hashes = [$((std::any::type_name::<$type>(), crate::payload::fingerprint::tests::of::<$type>())),*];
        for (i, (one, hash)) in hashes.iter().enumerate() {
            for (other, other_hash) in &hashes[..i] {
                assert_ne!(hash, other_hash, "{one} and {other}");
            }
        }
    };
}

mod structs {
    versions! {
        base { #[derive(Deserialize)] pub(crate) struct Report { year: u32, region: String } }
        same { #[derive(Deserialize)] pub(crate) struct Report { year: u32, region: String } }
        added { #[derive(Deserialize)] pub(crate) struct Report { year: u32, region: String, total: u8 } }
        removed { #[derive(Deserialize)] pub(crate) struct Report { year: u32 } }
        renamed { #[derive(Deserialize)] pub(crate) struct Report { year: u32, place: String } }
        reordered { #[derive(Deserialize)] pub(crate) struct Report { region: String, year: u32 } }
        retyped { #[derive(Deserialize)] pub(crate) struct Report { year: u64, region: String } }
        optional { #[derive(Deserialize)] pub(crate) struct Report { year: u32, region: Option<String> } }
        listed { #[derive(Deserialize)] pub(crate) struct Report { year: u32, region: Vec<String> } }
        bytes { #[derive(Deserialize)] pub(crate) struct Report { year: u32, region: Vec<u8> } }
        tuple { #[derive(Deserialize)] pub(crate) struct Report(u32, String); }
    }

    #[test]
    fn a_changed_struct_is_another() {
        all_different!(
            base::Report,
            added::Report,
            removed::Report,
            renamed::Report,
            reordered::Report,
            retyped::Report,
            optional::Report,
            listed::Report,
            bytes::Report,
            tuple::Report,
        );
        assert_eq!(super::of::<base::Report>(), super::of::<same::Report>());
    }
}

mod enums {
    versions! {
        base { #[derive(Deserialize)] pub(crate) enum Choice { A, B(u8), C { x: u8, y: Inner } }
               #[derive(Deserialize)] pub(crate) enum Inner { P, Q(u16) } }
        same { #[derive(Deserialize)] pub(crate) enum Choice { A, B(u8), C { x: u8, y: Inner } }
               #[derive(Deserialize)] pub(crate) enum Inner { P, Q(u16) } }
        added { #[derive(Deserialize)] pub(crate) enum Choice { A, B(u8), C { x: u8, y: Inner }, D }
                #[derive(Deserialize)] pub(crate) enum Inner { P, Q(u16) } }
        removed { #[derive(Deserialize)] pub(crate) enum Choice { A, B(u8) } }
        reordered { #[derive(Deserialize)] pub(crate) enum Choice { B(u8), A, C { x: u8, y: Inner } }
                    #[derive(Deserialize)] pub(crate) enum Inner { P, Q(u16) } }
        retyped { #[derive(Deserialize)] pub(crate) enum Choice { A, B(u16), C { x: u8, y: Inner } }
                  #[derive(Deserialize)] pub(crate) enum Inner { P, Q(u16) } }
        field { #[derive(Deserialize)] pub(crate) enum Choice { A, B(u8), C { x: u8, z: Inner } }
                #[derive(Deserialize)] pub(crate) enum Inner { P, Q(u16) } }
        inner { #[derive(Deserialize)] pub(crate) enum Choice { A, B(u8), C { x: u8, y: Inner } }
                #[derive(Deserialize)] pub(crate) enum Inner { P, Q(u32) } }
        form { #[derive(Deserialize)] pub(crate) enum Choice { A, B(u8, u8), C { x: u8, y: Inner } }
               #[derive(Deserialize)] pub(crate) enum Inner { P, Q(u16) } }
    }

    #[test]
    fn a_changed_enum_is_another() {
        all_different!(
            base::Choice,
            added::Choice,
            removed::Choice,
            reordered::Choice,
            retyped::Choice,
            field::Choice,
            inner::Choice,
            form::Choice,
        );
        assert_eq!(super::of::<base::Choice>(), super::of::<same::Choice>());
    }
}

/// Accepts nothing that could be guessed.
#[allow(dead_code)]
pub(crate) struct Picky;

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "xyzzy" {
            Ok(Self)
        } else {
            Err(serde::de::Error::custom("not the word"))
        }
    }
}

/// Accepts a date only.
#[allow(dead_code)]
pub(crate) struct Date(String);

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parts = text
            .split('-')
            .filter(|part| part.parse::<u16>().is_ok())
            .count();
        if parts == 3 {
            Ok(Self(text))
        } else {
            Err(serde::de::Error::custom("no date"))
        }
    }
}

mod after_picky {
    versions! {
        base { #[derive(Deserialize)] pub(crate) struct Outer { picky: Picky, day: Date, inner: Inner, last: u8 }
               #[derive(Deserialize)] pub(crate) struct Inner { port: NonZeroU8, picky: Picky, kind: Kind }
               #[derive(Deserialize)] pub(crate) enum Kind { A(Picky), B { picky: Picky, x: u8 }, C } }
        same { #[derive(Deserialize)] pub(crate) struct Outer { picky: Picky, day: Date, inner: Inner, last: u8 }
               #[derive(Deserialize)] pub(crate) struct Inner { port: NonZeroU8, picky: Picky, kind: Kind }
               #[derive(Deserialize)] pub(crate) enum Kind { A(Picky), B { picky: Picky, x: u8 }, C } }
        later { #[derive(Deserialize)] pub(crate) struct Outer { picky: Picky, day: Date, inner: Inner, last: u16 }
               #[derive(Deserialize)] pub(crate) struct Inner { port: NonZeroU8, picky: Picky, kind: Kind }
               #[derive(Deserialize)] pub(crate) enum Kind { A(Picky), B { picky: Picky, x: u8 }, C } }
        nested { #[derive(Deserialize)] pub(crate) struct Outer { picky: Picky, day: Date, inner: Inner, last: u8 }
               #[derive(Deserialize)] pub(crate) struct Inner { port: NonZeroU8, picky: Picky, kind: Kind }
               #[derive(Deserialize)] pub(crate) enum Kind { A(Picky), B { picky: Picky, x: u16 }, C } }
    }

    #[test]
    fn what_comes_after_a_picky_field_counts() {
        // What is opaque goes by its path, which differs here in the module.
        let base = super::text::<base::Outer>().replace("::base::", "::");
        assert_eq!(base, super::text::<same::Outer>().replace("::same::", "::"));
        assert_ne!(
            base,
            super::text::<later::Outer>().replace("::later::", "::")
        );
        assert_ne!(
            base,
            super::text::<nested::Outer>().replace("::nested::", "::")
        );
    }
}

mod recursive {
    versions! {
        base { #[derive(Deserialize)] pub(crate) struct Tree { children: Vec<Tree>, next: Option<Box<Tree>>, other: Node }
               #[derive(Deserialize)] pub(crate) enum Node { Two(Box<Node>, Box<Node>), Back(Box<Tree>), Leaf(u8) } }
        same { #[derive(Deserialize)] pub(crate) struct Tree { children: Vec<Tree>, next: Option<Box<Tree>>, other: Node }
               #[derive(Deserialize)] pub(crate) enum Node { Two(Box<Node>, Box<Node>), Back(Box<Tree>), Leaf(u8) } }
        leaf { #[derive(Deserialize)] pub(crate) struct Tree { children: Vec<Tree>, next: Option<Box<Tree>>, other: Node }
               #[derive(Deserialize)] pub(crate) enum Node { Two(Box<Node>, Box<Node>), Back(Box<Tree>), Leaf(u16) } }
    }

    #[test]
    fn recursion_ends() {
        assert_eq!(super::of::<base::Tree>(), super::of::<same::Tree>());
        assert_ne!(super::of::<base::Tree>(), super::of::<leaf::Tree>());
    }
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Endless(Box<Endless>);

#[allow(dead_code)]
struct Panics;

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        assert_eq!(text.len(), 1000);
        Ok(Self)
    }
}

mod panics {
    use std::process::Command;

    use super::*;

    versions! {
        base { #[derive(Deserialize)] pub(crate) struct Outer { odd: Panics, inner: Inner }
               #[derive(Deserialize)] pub(crate) struct Inner { last: u8 } }
        later { #[derive(Deserialize)] pub(crate) struct Outer { odd: Panics, inner: Inner }
                #[derive(Deserialize)] pub(crate) struct Inner { last: u16 } }
    }

    #[test]
    fn are_rejections() {
        let text = |text: String, module| text.replace(module, "::");
        let base = text(super::text::<base::Outer>(), "::base::");
        assert_ne!(base, text(super::text::<later::Outer>(), "::later::"));
    }

    #[test]
    fn are_not_heard_of() {
        let of_its_own = [
            "--exact",
            "payload::fingerprint::tests::panics::in_a_process_of_its_own",
        ];
        let mut child = Command::new(std::env::current_exe().unwrap());
        let child = child
            .args(of_its_own)
            .args(["--ignored", "--nocapture", "--test-threads=1"]);
        let child = child.output().unwrap();
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        assert_eq!(said.matches("the program's hook").count(), 1, "{said}");
    }

    #[test]
    #[ignore = "run by `are_not_heard_of`"]
    fn in_a_process_of_its_own() {
        /// While it panics no hook can be put.
        struct Traces;
        impl Drop for Traces {
            fn drop(&mut self) {
                of::<u8>();
            }
        }
        let _ = std::panic::catch_unwind(|| {
            let _traces = Traces;
            std::panic::resume_unwind(Box::new(()));
        });
        std::panic::set_hook(Box::new(|_| eprintln!("the program's hook")));
        of::<Panics>();
        of::<Vec<base::Outer>>();
        std::panic::catch_unwind(|| panic!("heard")).unwrap_err();
    }
}

/// As where panics abort the program.
mod nothing_made_up {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::payload::codec::{self, Room};

    fn text<T: DeserializeOwned>(module: &str) -> String {
        explored::<T>(false).describe("").replace(module, "::")
    }

    macro_rules! all_differ {
        ($versions:ident $type:ident: $($version:ident)*) => {
            let base = text::<$versions::base::$type>("::base::");
            assert_eq!(base, text::<$versions::same::$type>("::same::"));
            $({
                let other = text::<$versions::$version::$type>(concat!("::", stringify!($version), "::"));
                assert_ne!(base, other, stringify!($version));
            })*
        };
    }

    #[test]
    fn a_changed_type_is_another_all_the_same() {
        all_differ!(structs Report: added removed renamed reordered retyped optional listed bytes tuple);
        all_differ!(enums Choice: added removed reordered retyped field inner form);
        all_differ!(after_picky Outer: later nested);
        all_differ!(recursive Tree: leaf);
        let maps = text::<HashMap<String, structs::base::Report>>("::base::");
        let added = text::<HashMap<String, structs::added::Report>>("::added::");
        assert_ne!(maps, added);
    }

    versions! {
        base { #[derive(Serialize, Deserialize)] pub(crate) struct Page(pub(crate) u8, pub(crate) Rows);
               #[derive(Serialize, Deserialize, Default)] pub(crate) struct Rows { rows: Vec<u8> } }
        later { #[derive(Serialize, Deserialize)] pub(crate) struct Page(u8, Rows);
                #[derive(Serialize, Deserialize)] pub(crate) struct Rows { lines: Vec<u8> } }
    }

    /// It is no value of another type: what is written has names.
    #[test]
    fn what_was_not_seen_is_no_value_either() {
        let [base, later] = [
            text::<base::Page>("::base::"),
            text::<later::Page>("::later::"),
        ];
        assert_eq!(base, later, "then this test can go");
        let Fingerprint { names, .. } = explored::<base::Page>(false).fingerprint("");
        let room = Room {
            before: 0,
            behind: 0,
            limit: 1_000,
        };
        let page = codec::encode(&base::Page(1, base::Rows::default()), names, room).unwrap();
        assert!(codec::decode::<base::Page>(page.codec, &page.bytes).is_ok());
        assert!(codec::decode::<later::Page>(page.codec, &page.bytes).is_err());
    }

    #[test]
    fn types_are_told_by_their_names_too() {
        let hash = |tracer: Tracer, name| tracer.fingerprint(name).hash;
        let of = |name| hash(explored::<(u8, u8)>(false), name);
        assert_ne!(of("one"), of("other"));
        assert_ne!(
            hash(explored::<u8>(true), "u8"),
            hash(explored::<u8>(false), "u8")
        );
        assert!(explored::<u8>(false).fingerprint("u8").names.required);
    }

    static JUDGED: AtomicUsize = AtomicUsize::new(0);

    /// Whatever it is made of, it is judged by code of its own.
    #[derive(Deserialize)]
    #[serde(try_from = "T")]
    #[serde(bound = "T: Deserialize<'de>")]
    struct Judged<T>(std::marker::PhantomData<T>);

    impl<T> From<T> for Judged<T> {
        fn from(_: T) -> Self {
            JUDGED.fetch_add(1, Ordering::Relaxed);
            Self(std::marker::PhantomData)
        }
    }

    #[test]
    fn no_code_judges_what_is_made_up() {
        #[derive(Deserialize)]
        #[allow(dead_code)]
        enum Units {
            A,
            B,
        }
        #[derive(Deserialize)]
        struct Unit;
        #[derive(Deserialize)]
        struct Empty {}
        #[derive(Deserialize)]
        #[allow(dead_code)]
        struct Optional {
            a: Option<Judged<u8>>,
            b: Option<Judged<Units>>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        #[allow(dead_code)]
        enum Untagged {
            A(u8),
            B {},
        }

        fn all<T: DeserializeOwned>() {
            for makes_up in [true, false] {
                let before = JUDGED.load(Ordering::Relaxed);
                explored::<Judged<T>>(makes_up);
                explored::<Vec<Judged<T>>>(makes_up);
                explored::<(Judged<T>, Judged<T>)>(makes_up);
                explored::<HashMap<String, Option<Judged<T>>>>(makes_up);
                let judged = JUDGED.load(Ordering::Relaxed) > before;
                assert_eq!(judged, makes_up, "{}", type_name::<T>());
            }
        }
        all::<()>();
        all::<u8>();
        all::<String>();
        all::<[u8; 0]>();
        all::<(u8, u8)>();
        all::<Vec<u8>>();
        all::<Option<u8>>();
        all::<Option<Option<Units>>>();
        all::<HashMap<u8, u8>>();
        all::<Units>();
        all::<Unit>();
        all::<Empty>();
        all::<Optional>();
        all::<Untagged>();
        all::<Result<u8, Units>>();
        all::<serde_json::Value>();
        all::<IpAddr>();
        all::<std::marker::PhantomData<u8>>();
    }
}

/// A tuple cannot be looked at from its end: its name stands for it.
#[test]
fn what_cannot_be_reached_counts_by_its_name() {
    all_different!(
        (Picky, u8),
        (Picky, u16),
        Vec<(Picky, u8)>,
        Vec<(Picky, u16)>
    );
}

#[test]
fn odd_types_still_have_one() {
    all_different!(Endless, Picky, Panics);
}

#[test]
fn common_types_differ() {
    all_different!(
        (), bool, u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64, char, String,
        Option<u8>, Option<u16>, Option<Option<u8>>, Vec<u8>, Vec<Vec<u8>>, [u8; 3], [u8; 4], (u8, u16),
        HashMap<u8, u16>, BTreeMap<u16, u8>, Result<u8, u16>, Result<u16, u8>, Duration, SystemTime,
        IpAddr, SocketAddr, HashSet<(u8, IpAddr)>, std::ops::Range<u8>, std::ops::Bound<u8>,
    );
}

#[test]
fn the_version_is_part_of_it() {
    let hashes: HashSet<u64> = (0..100)
        .map(|version| fingerprint::<u8>(version).hash)
        .collect();
    assert_eq!(hashes.len(), 100);
}

#[test]
fn types_that_need_names_are_told() {
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: HashMap<String, u8>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    #[allow(dead_code)]
    enum Untagged {
        A(u8),
        B(String),
    }
    #[derive(Deserialize)]
    #[serde(tag = "t")]
    #[allow(dead_code)]
    enum Tagged {
        A { x: u8 },
        B,
    }
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Deep {
        a: Vec<Option<(u8, Tagged)>>,
    }
    assert!(fingerprint::<Flat>(0).names.required);
    assert!(fingerprint::<Untagged>(0).names.required);
    assert!(fingerprint::<Tagged>(0).names.required);
    assert!(fingerprint::<Deep>(0).names.required);
    assert!(fingerprint::<serde_json::Value>(0).names.required);
    assert!(!fingerprint::<Vec<String>>(0).names.required);
}

#[test]
fn a_wide_type_is_traced_quickly() {
    /// Twice what is below it, ten levels deep, with an enum and a picky leaf at the bottom.
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Twice<T> {
        left: T,
        right: T,
    }
    #[derive(Deserialize)]
    #[allow(dead_code)]
    enum Bottom {
        A(Date),
        B(IpAddr),
        C { x: Vec<SocketAddr> },
    }
    type Deep = Twice<Twice<Twice<Twice<Twice<Twice<Twice<Twice<Twice<Twice<Bottom>>>>>>>>>>;
    for makes_up in [true, false] {
        let tracer = explored::<Deep>(makes_up);
        assert!(tracer.describe("").contains("SocketAddr"));
        // A single value of it has 1,024 leaves.
        let steps = tracer.state.borrow().steps;
        assert!(steps < 40_000, "{steps}");
    }
}

/// A change here makes every stored value of every deployed program a miss, once.
#[test]
fn golden_fingerprints_are_frozen() {
    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Report {
        year: u32,
        region: Option<String>,
        total: (f64, i128),
        kind: Kind,
        pages: BTreeMap<String, Vec<Kind>>,
        server: IpAddr,
    }
    #[derive(Deserialize)]
    #[allow(dead_code)]
    enum Kind {
        Plain,
        New(NonZeroU8),
        Tuple(u8, char),
        Struct { within: Box<Option<Report>> },
    }
    assert_eq!(fingerprint::<Report>(0).hash, 0x4593_8790_8cbf_0c73);
    assert_eq!(fingerprint::<Report>(7).hash, 0x1617_d382_f7b6_68e0);
    assert_eq!(fingerprint::<Vec<u64>>(0).hash, 0x895c_b7a0_7df4_1976);
    assert_eq!(fingerprint::<String>(0).hash, 0x431c_e90f_7f25_e055);
}

#[test]
#[ignore = "a measurement"]
fn a_read_is_quick() {
    for _ in 0..3 {
        let begun = std::time::Instant::now();
        for _ in 0..1_000_000 {
            std::hint::black_box(fingerprint::<Vec<String>>(std::hint::black_box(1)));
        }
        eprintln!("{:?} for a million", begun.elapsed());
    }
}
