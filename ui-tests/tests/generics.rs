//! Generic functions: the types and constants they are called with tell their calls apart.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ui_tests::tick;
use worksharing::work_shared;

#[work_shared]
fn typed<T>(argument: T) -> u64
where
    T: Clone + Debug,
{
    drop(argument.clone());
    tick()
}

#[work_shared]
fn sized<const N: usize, const YES: bool>(bytes: [u8; N]) -> u64 {
    let _ = (bytes, YES);
    tick()
}

#[work_shared(key = "sized:{N}:{bytes:?}")]
fn sized_template<const N: usize>(bytes: &[u8; N]) -> u64 {
    tick()
}

#[work_shared]
fn made<T: Serialize + DeserializeOwned + Default>() -> (u64, T) {
    (tick(), T::default())
}

/// A type parameter is shared whole, whatever it stands for.
#[work_shared]
fn bare<T: Serialize + DeserializeOwned + Debug>(value: T) -> T {
    value
}

#[work_shared]
fn fallible<T, E>(value: Result<T, E>) -> Result<(u64, T), E>
where
    T: Serialize + DeserializeOwned + Debug,
    E: Debug,
{
    Ok((tick(), value?))
}

#[work_shared]
async fn typed_async<'a, T>(text: &'a str, argument: &'a T) -> Option<(u64, usize)>
where
    T: Debug + ?Sized,
{
    let _ = argument;
    Some((tick(), text.len()))
}

#[test]
fn type_parameters_tell_calls_apart() {
    assert_eq!(typed(1u8), typed(1u8));
    assert_ne!(typed(1u8), typed(1u64));
    assert_ne!(typed(1u8), typed(2u8));
    assert_ne!(typed("a"), typed("a".to_owned()));
}

#[test]
fn constants_tell_calls_apart() {
    assert_eq!(sized::<1, true>([1]), sized::<1, true>([1]));
    assert_ne!(sized::<1, true>([1]), sized::<1, false>([1]));
    assert_ne!(sized::<0, true>([]), sized::<1, true>([0]));
    assert_eq!(sized_template(&[1]), sized_template(&[1]));
    assert_ne!(sized_template(&[1]), sized_template(&[1, 1]));
}

#[test]
fn types_that_no_argument_tells_of() {
    assert_eq!(made::<u8>(), made::<u8>());
    assert_ne!(made::<u8>().0, made::<u16>().0);
}

#[test]
fn returned_in_generic_position() {
    assert_eq!(bare(5), 5);
    assert_eq!(bare(Ok::<u8, u8>(5)), Ok(5));
    assert_eq!(fallible(Ok::<u8, String>(1)), fallible(Ok::<u8, String>(1)));
    assert_eq!(fallible(Err::<u8, &str>("no")), Err("no"));
}

#[tokio::test]
async fn async_functions_alike() {
    assert_eq!(typed_async("a", "b").await, typed_async("a", "b").await);
    assert_ne!(typed_async("a", &1u8).await, typed_async("a", &1u16).await);
    assert_ne!(typed_async("a", "b").await, typed_async("b", "a").await);
}
