use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a computation returns, seen by the flow: whether there is a value to share in it, and how
/// to return a value that somebody else computed.
pub trait Outcome {
    /// What is stored and shared.
    type Shared: Serialize + DeserializeOwned;

    /// The value to share, unless the computation failed.
    fn shared(&self) -> Option<&Self::Shared>;

    /// The outcome of a caller that was given the value.
    fn from_shared(value: Self::Shared) -> Self;
}

/// A value that is shared as it is.
#[derive(Debug)]
pub(crate) struct Plain<T>(pub(crate) T);

impl<T: Serialize + DeserializeOwned> Outcome for Plain<T> {
    type Shared = T;

    fn shared(&self) -> Option<&T> {
        Some(&self.0)
    }

    fn from_shared(value: T) -> Self {
        Self(value)
    }
}

/// Of a `Result` only `Ok` is shared: an error is its own caller's.
impl<T: Serialize + DeserializeOwned, E> Outcome for Result<T, E> {
    type Shared = T;

    fn shared(&self) -> Option<&T> {
        self.as_ref().ok()
    }

    fn from_shared(value: T) -> Self {
        Ok(value)
    }
}
