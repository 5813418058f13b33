//! Annotated functions of every form under every lint. That it compiles, with clippy too, is the test:
//! `cargo clippy -p lints`.
#![deny(warnings)]
#![deny(
    missing_docs,
    unreachable_pub,
    unused,
    nonstandard_style,
    let_underscore,
    refining_impl_trait
)]
#![deny(
    future_incompatible,
    keyword_idents,
    rust_2018_compatibility,
    rust_2018_idioms
)]
#![deny(rust_2021_compatibility, rust_2024_compatibility)]
#![deny(
    absolute_paths_not_starting_with_crate,
    ambiguous_negative_literals,
    closure_returning_async_block
)]
#![deny(deprecated_in_future, ffi_unwind_calls, impl_trait_redundant_captures)]
#![deny(
    macro_use_extern_crate,
    meta_variable_misuse,
    missing_copy_implementations
)]
#![deny(
    missing_debug_implementations,
    non_ascii_idents,
    redundant_imports,
    redundant_lifetimes
)]
#![deny(
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types
)]
#![deny(
    unsafe_code,
    unstable_features,
    unused_crate_dependencies,
    unused_import_braces
)]
#![deny(
    unused_lifetimes,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]
#![deny(
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::cargo,
    clippy::restriction
)]
#![expect(
    clippy::blanket_clippy_restriction_lints,
    reason = "all of them is what this is about"
)]
#![expect(
    clippy::cargo_common_metadata,
    clippy::multiple_crate_versions,
    reason = "not published"
)]
#![expect(
    clippy::arbitrary_source_item_ordering,
    clippy::arithmetic_side_effects,
    clippy::implicit_return,
    clippy::missing_inline_in_public_items,
    clippy::missing_trait_methods,
    clippy::question_mark_used,
    clippy::single_call_fn,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "of the code below as it is written, not as it is expanded"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::future::ready;
use std::time::Duration;

use worksharing::work_shared;

/// Methods, and traits.
pub mod methods;

/// What can go wrong.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Wrong;

/// Every option of a plain function.
#[work_shared(
    ttl = "1m",
    key = "report:{year}:{region}",
    tags("region:{region}", "{0:04}", "reports", function),
    force_refresh = year == 0,
    version = 1,
    name = "reports"
)]
#[must_use]
pub fn report(year: u32, region: &str) -> String {
    format!("{year} {region}")
}

/// Many ids.
#[work_shared(each = id in ids, key = "{prefix}:{id}", tags("{id}"), cache_if = |value| *value != limit, skip(limit))]
#[must_use]
pub fn each(mut prefix: String, limit: u64, mut ids: Vec<u64>) -> HashMap<u64, u64> {
    ids.retain(|id| *id > 1);
    prefix.push('!');
    ids.truncate(prefix.len());
    ids.into_iter().map(|id| (id, id + 1)).collect()
}

/// Many ids, and arguments of all kinds.
///
/// # Errors
/// Never.
#[work_shared(each = (shop, id) in ids, key = "{shop}:{id}", ttl = "5m", wait = "2s", on_timeout = "compute")]
pub async fn each_of_shops(
    seen: &mut u32,
    (left, _): (String, u32),
    ids: &BTreeSet<(u32, u64)>,
) -> Result<BTreeMap<(u32, u64), String>, Wrong> {
    *seen += 1;
    ready(()).await;
    let of_shop = |id: &(u32, u64)| (*id, left.clone());
    Ok(ids.iter().map(of_shop).collect())
}

/// The default key.
///
/// # Errors
/// Never.
#[work_shared(skip(skipped), tags("{left}:{skipped}"), ttl = LONG * 2)]
pub fn by_default(
    mut count: u32,
    (left, _): (u32, u32),
    _: u8,
    skipped: &str,
) -> Result<u32, Wrong> {
    if skipped.is_empty() {
        return Err(Wrong);
    }
    count += left;
    Ok(count)
}

/// How long.
const LONG: Duration = Duration::from_secs(60);

/// Closures.
#[work_shared(cache_if = |text| !text.is_empty(), ttl = |text: &String| LONG * u32::from(text.is_empty()), cache_none)]
#[must_use]
pub fn closures(name: String) -> Option<String> {
    Some(name)
}

/// An async function with a handle.
///
/// # Errors
/// If there is nothing.
#[work_shared(handle = later_call, cache_if = |value| *value > 0, key = number)]
pub async fn later(number: u32, text: &str) -> Result<u32, Wrong> {
    /// An item among the statements.
    const ONE: u32 = 1;
    ready(()).await;
    if text.is_empty() {
        Err(Wrong)
    } else {
        Ok(number + ONE)
    }
}

/// An async function of one line: its braces must not be found needless.
#[work_shared]
#[rustfmt::skip]
pub async fn short(number: u32) -> u32 { ready(number).await }

/// A generic function with a handle.
#[work_shared(handle = generic_call)]
#[must_use]
pub fn generic<T, const N: usize>(list: &[T; N]) -> usize
where
    T: Debug,
{
    list.len()
}

/// Arguments that only the key looks at, without and with a handle.
#[work_shared]
pub async fn tagged(_tag: Option<&str>, mut _count: u32) -> u32 {
    ready(1).await
}

/// The same of a plain function.
#[work_shared(handle = tag_call, tags(function))]
#[must_use]
pub fn tag(_tag: Option<&str>, mut _count: u32) -> u32 {
    1
}

/// Many arguments, which is expected.
#[work_shared(handle = many_call)]
#[must_use]
#[expect(clippy::too_many_arguments, reason = "they are many")]
pub fn many(one: u8, two: u8, three: u8, four: u8, five: u8, six: u8, seven: u8, eight: u8) -> u8 {
    one ^ two ^ three ^ four ^ five ^ six ^ seven ^ eight
}

/// A private one with a handle, and a name that is not a nice one.
#[work_shared(handle = private_call)]
#[expect(non_snake_case, reason = "a habit")]
fn privateOne(number: Option<&u32>) -> Option<u32> {
    let doubled = number.copied()?.checked_mul(2)?;
    if doubled == 4 {
        return None;
    }
    Some(doubled)
}

/// Uses the private one.
#[must_use]
pub fn uses() -> Option<u32> {
    privateOne(Some(&3))
}

/// Borrowed arguments of every kind.
#[work_shared(handle = borrowed_call, ttl = |_: &u64| LONG, cache_if = fits, key = texts.join(opaque.as_ref()), version = VERSION)]
pub async fn borrowed<'text, Of: AsRef<str> + Sync>(
    texts: &[&'text str],
    _unused: &mut u32,
    opaque: &Of,
    (left, [right, ..]): (String, [u64; 2]),
) -> Result<u64, &'text str> {
    ready(()).await;
    let first = texts.first().ok_or("")?;
    if left.is_empty() {
        return Err(first);
    }
    Ok(right)
}

/// Every option about time, waiting and fates.
///
/// # Errors
/// If it takes too long.
#[work_shared(
    ttl = "1m",
    stale_while_revalidate = "10m",
    stale_if_error = LONG * 60,
    early_refresh = 1.5,
    jitter = "10%",
    wait = "2s",
    on_timeout = Err(Wrong),
    handle = fated_call
)]
pub async fn fated(number: u32) -> Result<u32, Wrong> {
    ready(Ok(number)).await
}

/// The same of a plain function, without a handle.
///
/// # Errors
/// If it takes too long.
#[work_shared(early_refresh, jitter = LONG, wait = "2s", on_timeout = Err(Wrong))]
pub fn fated_here(number: u32) -> Result<u32, Wrong> {
    Ok(number)
}

/// What becomes of errors, by closures.
///
/// # Errors
/// Always.
#[work_shared(share_err = |error| error.wrapping_add(1), cache_err = |_| LONG * number, detach)]
pub fn failing(number: u32) -> Result<u32, u32> {
    Err(number)
}

/// Detached, with arguments of every kind.
#[work_shared(detach, cache_if = |value| *value > least, skip(_unused, shown))]
pub async fn detached<Shown>(
    text: &str,
    list: Option<&[u8]>,
    mut count: u32,
    (left, mut right): (u32, String),
    _unused: &u64,
    shown: Shown,
    least: u32,
) -> u32
where
    Shown: AsRef<str> + Send + 'static,
{
    count += left;
    right.push_str(text);
    right.push_str(shown.as_ref());
    ready(()).await;
    let length = list.map_or(0, <[u8]>::len) + right.len();
    u32::try_from(length).unwrap_or(0) + count
}

/// Detached, on a thread, with something else for those who wait for too long.
///
/// # Errors
/// If it takes too long.
#[work_shared(detach, wait = "2s", on_timeout = Err(Wrong), handle = detached_call)]
pub fn detached_here(text: &str, mut count: u32) -> Result<u32, Wrong> {
    if text.is_empty() {
        return Err(Wrong);
    }
    count += 1;
    Ok(count)
}

/// Which.
const VERSION: u32 = 1;

/// Whether it is stored.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "so it is asked")]
const fn fits(number: &u64) -> bool {
    number.is_power_of_two()
}
