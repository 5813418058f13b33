//! Annotated functions of every form under every lint. That it compiles, with clippy too, is the test:
//! `cargo clippy -p lints`.
#![deny(warnings)]
#![deny(
    missing_docs,
    unreachable_pub,
    unused,
    nonstandard_style,
    future_incompatible
)]
#![deny(rust_2018_idioms, rust_2021_compatibility, rust_2024_compatibility)]
#![deny(
    missing_debug_implementations,
    missing_copy_implementations,
    single_use_lifetimes
)]
#![deny(
    trivial_casts,
    trivial_numeric_casts,
    unused_qualifications,
    unused_lifetimes
)]
#![deny(
    unused_import_braces,
    unused_results,
    variant_size_differences,
    let_underscore_drop
)]
#![deny(
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    meta_variable_misuse
)]
#![deny(
    redundant_lifetimes,
    unit_bindings,
    ambiguous_negative_literals,
    unsafe_code
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery, clippy::cargo)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![deny(
    clippy::shadow_reuse,
    clippy::shadow_same,
    clippy::shadow_unrelated,
    clippy::str_to_string
)]
#![deny(
    clippy::unreachable,
    clippy::unwrap_in_result,
    clippy::use_debug,
    clippy::print_stdout
)]
#![deny(
    clippy::clone_on_ref_ptr,
    clippy::default_numeric_fallback,
    clippy::float_arithmetic
)]
#![deny(clippy::allow_attributes, clippy::allow_attributes_without_reason)]
#![deny(
    clippy::let_underscore_untyped,
    clippy::let_underscore_must_use,
    clippy::pattern_type_mismatch
)]
#![deny(clippy::absolute_paths, clippy::min_ident_chars)]
#![deny(clippy::missing_docs_in_private_items, clippy::semicolon_inside_block)]
#![expect(
    clippy::cargo_common_metadata,
    clippy::multiple_crate_versions,
    reason = "not published"
)]

use std::fmt::Debug;
use std::future::ready;
use std::time::Duration;

use async_trait::async_trait;
use worksharing::{WorkSharing, work_shared};

/// What can go wrong.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Wrong;

/// A shop, with a runtime of its own.
#[derive(Debug)]
pub struct Shop {
    /// Which one.
    id: u32,
    /// Its runtime.
    sharing: WorkSharing,
}

/// Every option of a plain function.
#[work_shared(
    ttl = "1m",
    key = "report:{year}:{region}",
    force_refresh = year == 0,
    version = 1,
    name = "reports"
)]
#[must_use]
pub fn report(year: u32, region: &str) -> String {
    format!("{year} {region}")
}

/// The default key.
///
/// # Errors
/// Never.
#[work_shared(skip(skipped), ttl = LONG * 2)]
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

impl Shop {
    /// A new one.
    #[must_use]
    pub fn new(id: u32) -> Self {
        Self {
            id,
            sharing: WorkSharing::in_memory(),
        }
    }

    /// A method.
    #[work_shared(via = self.sharing, key = "shop:{self.id}", handle = count_call)]
    #[must_use]
    pub fn count(&self) -> u32 {
        self.id
    }

    /// A method that changes its receiver.
    #[work_shared(via = &self.sharing, skip(self))]
    pub async fn sell(&mut self, number: u32) -> u32 {
        self.id += number;
        ready(self.id).await
    }

    /// An associated function.
    #[work_shared(handle = Self::open_call)]
    #[must_use]
    pub(crate) fn open(number: u32) -> u32 {
        number
    }

    /// Calls the other.
    #[must_use]
    pub fn opened() -> u32 {
        Self::open(1)
    }
}

/// A trait.
#[async_trait]
pub trait Pages {
    /// A page.
    async fn page(&self, path: &str, fresh: bool) -> Option<String>;

    /// A provided method.
    #[work_shared(key = "provided:{number}")]
    async fn provided(&self, number: u32) -> u32 {
        number
    }
}

#[async_trait]
impl Pages for Shop {
    #[work_shared(via = self.sharing, key = "{self.id}:{path}", force_refresh = fresh)]
    async fn page(&self, path: &str, fresh: bool) -> Option<String> {
        Some(path.to_owned())
    }
}
