use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};

use super::*;

fn of<T: DeserializeOwned>() -> u64 {
    let traced = fingerprint::<T>(0);
    assert_eq!(trace::<T>(), traced, "the second trace differs");
    assert!(!traced.names.required, "{}", type_name::<T>());
    traced.hash
}

fn text<T: DeserializeOwned>() -> String {
    let tracer = Tracer::default();
    tracer.explore(&mut || T::deserialize(Trace::root(&tracer)).map(drop));
    tracer.describe(type_name::<T>())
}

/// Types of the same name, as one program would see them in two deployed versions.
macro_rules! versions {
    ($($version:ident { $($item:item)* })*) => {
        $(#[allow(dead_code)] mod $version {
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
    let tracer = Tracer::default();
    tracer.explore(&mut || Deep::deserialize(Trace::root(&tracer)).map(drop));
    assert!(tracer.describe("").contains("SocketAddr"));
    // A single value of it has 1,024 leaves.
    let steps = tracer.0.borrow().steps;
    assert!(steps < 40_000, "{steps}");
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
