//! TLS by rustls, and what to say where it does not come about.

use std::error::Error as StdError;

use crate::Error;

#[cfg(all(feature = "tls", feature = "postgres"))]
pub(crate) mod postgres;
#[cfg(feature = "tls")]
mod refusal;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod trust;

#[cfg(all(feature = "tls", feature = "redis"))]
pub(crate) use trust::trusted;

/// Whether worksharing was built with TLS.
pub(crate) const BUILT_IN: bool = cfg!(feature = "tls");

/// Whose URL asks for TLS where it is not built in, and what to write instead.
pub(crate) fn missing(asked: &str, instead: &str) -> Error {
    Error::setting(format!(
        "the {asked}, but worksharing was built without the feature `tls`: add `features = [\"tls\"]` to it in \
         Cargo.toml, or {instead}"
    ))
}

/// No connection to this server came about, and what to do about it.
pub(crate) fn unreachable(server: &str, cause: impl StdError + Send + Sync + 'static) -> Error {
    #[cfg(feature = "tls")]
    if let Some(advice) = refusal::advice(&cause) {
        return Error::unavailable(format!("{server} {advice}")).caused_by(cause);
    }
    Error::unavailable(format!(
        "{server} cannot be reached: check the URL, and that the server runs and lets this machine in"
    ))
    .caused_by(cause)
}
