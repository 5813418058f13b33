//! Case 23: calls that differ have different default keys, and calls that do not, do not.

use std::fmt::Debug;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use worksharing::{WorkSharing, work_shared};

/// One runtime for all of this file, in memory.
fn sharing() -> &'static WorkSharing {
    static SHARING: OnceLock<WorkSharing> = OnceLock::new();
    SHARING.get_or_init(WorkSharing::in_memory)
}

/// Different for every execution.
fn execution() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    COUNT.fetch_add(1, SeqCst)
}

#[work_shared(ttl = "60s", via = sharing())]
fn generic<T: Debug>(_value: T) -> u32 {
    execution()
}

#[test]
fn types_of_a_generic_function_differ() {
    assert_ne!(generic(1_u8), generic(1_u64));
    assert_ne!(generic("1"), generic(String::from("2")));
    assert_eq!(generic(1_u8), generic(1_u8));
}

#[derive(Debug)]
struct Shop {
    name: &'static str,
}

impl Shop {
    #[work_shared(ttl = "60s", via = sharing())]
    fn total(&self, _year: u32) -> u32 {
        execution()
    }
}

#[derive(Debug)]
struct Store {
    #[allow(dead_code, reason = "for Debug")]
    name: &'static str,
}

impl Store {
    #[work_shared(ttl = "60s", via = sharing())]
    fn total(&self, _year: u32) -> u32 {
        execution()
    }
}

#[test]
fn receivers_of_a_method_differ() {
    let (one, other) = (Shop { name: "one" }, Shop { name: "other" });
    assert_ne!(one.name, other.name);
    assert_ne!(one.total(2024), other.total(2024));
    assert_ne!(one.total(2024), one.total(2025));
    assert_eq!(one.total(2024), Shop { name: "one" }.total(2024));
    // Two types may have a method of one name.
    assert_ne!(one.total(2024), Store { name: "one" }.total(2024));
}

#[work_shared(ttl = "60s", via = sharing())]
fn pair(_one: &str, _other: &str) -> u32 {
    execution()
}

#[test]
fn separators_inside_arguments_do_not_matter() {
    let pairs = [
        ("a:b", "c"),
        ("a", "b:c"),
        ("a\", \"b", "c"),
        ("a", "b\", \"c"),
        ("a, b", "c"),
        ("", "a:bc"),
    ];
    for (number, (one, other)) in pairs.iter().enumerate() {
        for (another, third) in &pairs[number + 1..] {
            assert_ne!(
                pair(one, other),
                pair(another, third),
                "{one} {other} {another} {third}"
            );
        }
        assert_eq!(pair(one, other), pair(one, other));
    }
}

mod one {
    use super::{execution, sharing, work_shared};

    #[work_shared(ttl = "60s", via = sharing())]
    pub(crate) fn same_name() -> u32 {
        execution()
    }
}

mod other {
    use super::{execution, sharing, work_shared};

    #[work_shared(ttl = "60s", via = sharing())]
    pub(crate) fn same_name() -> u32 {
        execution()
    }
}

#[test]
fn functions_of_one_name_differ_by_their_modules() {
    assert_ne!(one::same_name(), other::same_name());
    assert_eq!(one::same_name(), one::same_name());
}

#[work_shared(ttl = "60s", via = sharing(), skip(_logger))]
fn skipping(_year: u32, _logger: &str) -> u32 {
    execution()
}

#[test]
fn skipped_arguments_do_not_count() {
    assert_eq!(skipping(2024, "one"), skipping(2024, "other"));
    assert_ne!(skipping(2024, "one"), skipping(2025, "one"));
}

#[work_shared(ttl = "60s", via = sharing(), force_refresh = refresh)]
fn refreshed(_year: u32, refresh: bool) -> u32 {
    execution()
}

#[test]
fn argument_that_asks_for_a_refresh_does_not_count() {
    let first = refreshed(2024, false);
    let second = refreshed(2024, true);
    assert_ne!(first, second);
    assert_eq!(refreshed(2024, false), second);
}

#[work_shared(ttl = "60s", via = sharing(), key = "report:{year}:{region}")]
fn report(year: u32, region: &str) -> u32 {
    execution()
}

#[test]
fn template_is_used_exactly_as_written() {
    let value = report(2024, "DE");
    assert_eq!(
        sharing().work("report:2024:DE").peek_blocking(),
        Some(value)
    );
    sharing()
        .work::<u32>("report:2024:DE")
        .invalidate_blocking()
        .unwrap();
    assert_ne!(report(2024, "DE"), value);
}
