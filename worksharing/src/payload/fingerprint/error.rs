use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de;

/// Why a run over made-up values ended. What serde says about the type on that occasion is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TraceError {
    /// The tracer has run for long enough.
    Stop,
    /// A made-up value was rejected.
    Rejected,
    /// A map without this key was rejected.
    Missing(&'static str),
    /// A made-up name was rejected; these are the right ones.
    Known(&'static [&'static str]),
}

/// A type whose `Deserialize` panics at a made-up value has rejected it.
pub(super) fn caught<V>(make: impl FnOnce() -> Result<V, TraceError>) -> Result<V, TraceError> {
    catch_unwind(AssertUnwindSafe(make)).unwrap_or(Err(TraceError::Rejected))
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for TraceError {}

impl de::Error for TraceError {
    fn custom<M: fmt::Display>(_message: M) -> Self {
        Self::Rejected
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn unknown_field(_field: &str, expected: &'static [&'static str]) -> Self {
        Self::Known(expected)
    }

    fn unknown_variant(_variant: &str, expected: &'static [&'static str]) -> Self {
        Self::Known(expected)
    }
}
