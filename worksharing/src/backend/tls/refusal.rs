use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
use rustls::Error::InvalidCertificate;

/// What to do about a server's certificate, if that is why there is no connection.
pub(super) fn advice(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    match of_rustls(error)? {
        InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => Some(
            "shows a certificate for another name: write a name that the certificate is for as the host in the \
             URL",
        ),
        InvalidCertificate(_) => Some(
            "shows a certificate that this machine does not trust: install its authority's certificate, or name \
             a file with it (PEM) in the environment variable SSL_CERT_FILE",
        ),
        _ => None,
    }
}

fn of_rustls<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    of_rustls(held(error).or_else(|| error.source())?)
}

/// What the error holds, where its `source` passes over that.
fn held<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return error.get_ref().map(|error| error as _);
    }
    let shared = error.downcast_ref::<Arc<dyn StdError + Send + Sync>>()?;
    Some(&**shared)
}
