use std::sync::{Arc, OnceLock};

use rustls::client::WantsClientCert;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use crate::Error;

/// The certificate must be for the host, and by an authority that the machine trusts. Read once in a process.
pub(crate) fn trusted() -> Result<Arc<ClientConfig>, Error> {
    static READ: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(read) = READ.get() {
        return Ok(Arc::clone(read));
    }
    let roots = roots()?;
    let made = verifying(|builder| builder.with_root_certificates(roots))?;
    Ok(Arc::clone(READ.get_or_init(|| Arc::new(made))))
}

fn roots() -> Result<RootCertStore, Error> {
    let mut found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    let error = Error::unavailable(
        "no trusted certificates are found on this machine: install them (package ca-certificates), or name a \
         file with them (PEM) in the environment variable SSL_CERT_FILE",
    );
    Err(match found.errors.pop() {
        Some(cause) => error.caused_by(cause),
        None => error,
    })
}

/// With the cryptography that the program has chosen, or else ring: the choice for the whole process is left
/// to the program.
pub(super) fn verifying(
    verified: impl FnOnce(
        ConfigBuilder<ClientConfig, WantsVerifier>,
    ) -> ConfigBuilder<ClientConfig, WantsClientCert>,
) -> Result<ClientConfig, Error> {
    let provider = CryptoProvider::get_default()
        .map_or_else(|| Arc::new(ring::default_provider()), Arc::clone);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            Error::unavailable(
                "the cryptography that this program has chosen for rustls knows neither TLS 1.2 nor 1.3",
            )
            .caused_by(error)
        })?;
    Ok(verified(builder).with_no_client_auth())
}
