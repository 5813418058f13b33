//! Nothing that the user's module calls by well-known names is taken for the real thing.
#![allow(dead_code, non_camel_case_types, non_snake_case, unused_macros)]

/// A crate of these names would win over anything, so modules must.
mod std {}
mod core {}
mod alloc {}
mod worksharing {}
mod serde {}

struct Result;
struct Option;
struct Some;
struct None;
struct Ok;
struct Err;
struct String;
struct Vec;
struct Box;
struct Pin;
struct Duration;
struct WorkSharing;
struct bool;
struct u64;
trait Future {}
trait Fn {}
trait FnOnce {}
trait Debug {}
trait Display {}
trait ToString {}
trait Default {}
trait Clone {}
trait Send {}
trait Deref {}
fn drop() {}
fn run() {}

macro_rules! format {
    ($($any:tt)*) => {
        ::core::compile_error!("the user's own format")
    };
}
macro_rules! format_args {
    ($($any:tt)*) => {
        ::core::compile_error!("the user's own format_args")
    };
}
macro_rules! concat {
    ($($any:tt)*) => {
        ::core::compile_error!("the user's own concat")
    };
}
macro_rules! module_path {
    ($($any:tt)*) => {
        ::core::compile_error!("the user's own module_path")
    };
}
macro_rules! pin {
    ($($any:tt)*) => {
        ::core::compile_error!("the user's own pin")
    };
}
macro_rules! panic {
    ($($any:tt)*) => {
        ::core::compile_error!("the user's own panic")
    };
}
macro_rules! unreachable {
    ($($any:tt)*) => {
        ::core::compile_error!("the user's own")
    };
}

/// Methods of these names on everything.
trait Everywhere {
    fn policy(&self) {}
    fn value(&self) {}
    fn by(&self) {}
    fn arg(&self) {}
    fn finish(&self) {}
    fn ttl(&self) {}
    fn cache_if(&self) {}
    fn version(&self) {}
    fn force_refresh(&self) {}
    fn cache_none(&self) {}
    fn get(&self) {}
    fn errors(&self) {}
    fn share_err(&self) {}
    fn shares_err(&self) {}
    fn cache_err(&self) {}
    fn caches_err(&self) {}
    fn detach(&self) {}
    fn wait(&self) {}
    fn jitter_part(&self) {}
    fn early_refresh(&self) {}
    fn stale_if_error(&self) {}
    fn stale_while_revalidate(&self) {}
    fn to_owned(&self) {}
    fn taken(&self) {}
    fn keep(&self) {}
    fn sent(&self) {}
    fn lent(&self) {}
    fn to_string(&self) {}
}

impl<T: ?Sized> Everywhere for T {}

#[::worksharing::work_shared(ttl = "1m", key = "hygiene:{year}:{year:?}")]
fn template(year: u32) -> ::std::result::Result<u32, ::std::string::String> {
    ::std::result::Result::Ok(year)
}

#[::worksharing::work_shared(force_refresh = year > 1, cache_if = |year| *year > 0, version = 1)]
async fn default_key(year: u32, (a, _): (u32, u32)) -> ::std::option::Option<u32> {
    ::std::option::Option::Some(year + a)
}

#[::worksharing::work_shared(
    key = year,
    handle = handle,
    ttl = |_| ::std::time::Duration::from_secs(1),
    cache_none
)]
async fn all(year: u32) -> ::std::option::Option<u32> {
    ::std::option::Option::Some(year)
}

#[::worksharing::work_shared(handle = plain_handle, cache_if = |_: &u32| true)]
fn plain(year: u32) -> u32 {
    year
}

#[::worksharing::work_shared(
    detach,
    wait = "1m",
    on_timeout = ::std::option::Option::None,
    stale_while_revalidate = "1m",
    early_refresh,
    jitter = "1%"
)]
async fn detached(
    text: &str,
    other: ::std::option::Option<&u32>,
    year: u32,
) -> ::std::option::Option<u32> {
    ::std::option::Option::Some(year + text.len() as u32 + *other?)
}

#[::worksharing::work_shared(detach, stale_if_error = "1m", cache_err = "1s", share_err = |error| *error)]
fn detached_here(list: &[u32], year: u32) -> ::std::result::Result<u32, u32> {
    list.first().copied().ok_or(year)
}

#[test]
fn everything_still_works() {
    assert_eq!(template(1), ::std::result::Result::Ok(1));
    assert_eq!(plain(1), plain_handle(1).get());
    let runtime = ::tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    assert_eq!(detached_here(&[], 7), ::std::result::Result::Err(7));
    runtime.block_on(async {
        let other = ::std::option::Option::Some(&2);
        assert_eq!(
            detached("a", other, 1).await,
            ::std::option::Option::Some(4)
        );
        assert_eq!(default_key(1, (1, 2)).await, ::std::option::Option::Some(2));
        assert_eq!(all(1).await, handle(1).get().await);
    });
}
