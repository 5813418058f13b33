//! Case 21: a value stored by an older version of its type is a miss, never garbage. Case 47: while both versions
//! are deployed, each has its own.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tests::{Build, on_each_backend};

/// Makes two versions of a type, of the same name, and a test that one is a miss for the other.
macro_rules! changed {
    ($(#[$why:meta])* $test:ident: $old:item => $old_value:expr, $new:item => $new_value:expr) => {
        $(#[$why])*
        #[test]
        fn $test() {
            mod old {
                #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
                $old
            }
            mod new {
                #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
                $new
            }
            on_each_backend(|_, build| {
                use old::*;
                let old = $old_value;
                misses(build, &old, &{ use new::*; $new_value });
            });
        }
    };
}

fn misses<Old, New>(build: Build<'_>, old: &Old, new: &New)
where
    Old: Clone + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    New: Clone + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let (older, newer) = (build(), build());
    let _ = older.work::<Old>("changed").invalidate_blocking();
    older.work("changed").run_blocking(|| old.clone());
    assert_eq!(older.work("changed").peek_blocking().as_ref(), Some(old));
    assert_eq!(newer.work::<New>("changed").peek_blocking(), None);
    assert_eq!(newer.work("changed").run_blocking(|| new.clone()), *new);
    assert!(newer.stats().unreadable > 0);
    // Two versions deployed side by side: each reads its own, and one invalidation reaches both.
    for _ in 0..25 {
        let unreachable = || unreachable!("it is stored");
        assert_eq!(older.work::<Old>("changed").run_blocking(unreachable), *old);
        let unreachable = || unreachable!("it is stored");
        assert_eq!(newer.work::<New>("changed").run_blocking(unreachable), *new);
    }
    newer
        .work::<New>("changed")
        .invalidate_blocking()
        .expect("the store is there");
    assert_eq!(older.work::<Old>("changed").peek_blocking(), None);
    assert_eq!(newer.work::<New>("changed").peek_blocking(), None);
}

changed!(field_added:
    pub(super) struct User { pub(super) id: u32 } => User { id: 1 },
    pub(super) struct User { pub(super) id: u32, pub(super) age: Option<u8> } => User { id: 1, age: None });
changed!(field_removed:
    pub(super) struct User { pub(super) id: u32, pub(super) age: u8 } => User { id: 1, age: 2 },
    pub(super) struct User { pub(super) id: u32 } => User { id: 1 });
changed!(field_renamed:
    pub(super) struct User { pub(super) first: u32, pub(super) last: u32 } => User { first: 1, last: 2 },
    pub(super) struct User { pub(super) first: u32, pub(super) family: u32 } => User { first: 1, family: 2 });
changed!(fields_reordered:
    pub(super) struct User { pub(super) first: u32, pub(super) last: u32 } => User { first: 1, last: 2 },
    pub(super) struct User { pub(super) last: u32, pub(super) first: u32 } => User { first: 1, last: 2 });
changed!(type_of_a_field_changed:
    pub(super) struct User { pub(super) id: u32 } => User { id: 1 },
    pub(super) struct User { pub(super) id: i32 } => User { id: 1 });
changed!(variant_inserted:
    pub(super) enum Color { Red, Green } => Color::Green,
    pub(super) enum Color { Red, Blue, Green } => Color::Blue);
changed!(variants_reordered:
    pub(super) enum Color { Red, Green } => Color::Green,
    pub(super) enum Color { Green, Red } => Color::Green);
changed!(type_deep_inside_changed:
    pub(super) struct Page { pub(super) rows: Vec<(u8, Option<u64>)> } => Page { rows: vec![(1, Some(2))] },
    pub(super) struct Page { pub(super) rows: Vec<(u8, Option<i64>)> } => Page { rows: vec![(1, Some(2))] });

// The third one takes the place of whoever computed longest ago.
#[test]
fn two_versions_of_a_type_have_room() {
    on_each_backend(|backend, build| {
        let sharing = build();
        let work = |version| sharing.work::<u32>("three").version(version);
        for version in 1..=3 {
            work(version).run_blocking(|| version);
        }
        let found = [1, 2, 3].map(|version| work(version).peek_blocking());
        assert_eq!(found, [None, Some(2), Some(3)], "{backend}");
    });
}

// A refresh is asked for because what stands is wrong.
#[test]
fn a_refresh_carries_no_other_version() {
    on_each_backend(|backend, build| {
        let sharing = build();
        let work = |version| sharing.work::<u32>("refreshed").version(version);
        work(1).run_blocking(|| 1);
        work(2).force_refresh(true).run_blocking(|| 2);
        let found = [1, 2].map(|version| work(version).peek_blocking());
        assert_eq!(found, [None, Some(2)], "{backend}");
    });
}

// What it is to replace stands behind another version's.
#[test]
fn a_refresh_replaces_what_was_carried() {
    on_each_backend(|backend, build| {
        let sharing = build();
        let work = |version| sharing.work::<u32>("carried").version(version);
        work(1).run_blocking(|| 1);
        work(2).run_blocking(|| 2);
        let refresh = work(1).force_refresh(true);
        assert_eq!(refresh.run_blocking(|| 3), 3, "{backend}");
        assert_eq!(work(1).peek_blocking(), Some(3), "{backend}");
    });
}

#[test]
fn version_is_part_of_the_type() {
    on_each_backend(|backend, build| {
        let sharing = build();
        sharing.work("versioned").version(1).run_blocking(|| 1);
        let newer = || sharing.work::<i32>("versioned").version(2);
        assert_eq!(newer().peek_blocking(), None, "{backend}");
        assert_eq!(newer().run_blocking(|| 2), 2, "{backend}");
    });
}
