//! TLS by rustls, with the certificates that the operating system trusts.

use std::sync::OnceLock;

use rustls::crypto::ring;

#[cfg(feature = "postgres")]
use crate::Error;

/// Gives rustls its cryptography, unless the program has chosen one.
pub(crate) fn install_provider() {
    static ONCE: OnceLock<()> = OnceLock::new();
    // An error says that the program has installed its own, which is fine.
    ONCE.get_or_init(|| drop(ring::default_provider().install_default()));
}

/// How PostgreSQL is connected to where the URL asks for TLS.
#[cfg(feature = "postgres")]
pub(crate) fn postgres() -> Result<tokio_postgres_rustls::MakeRustlsConnect, Error> {
    install_provider();
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(Error::unavailable(
            "no trusted certificates are found on this machine: install them (package ca-certificates) or name \
             a file of them in the environment variable SSL_CERT_FILE",
        ));
    }
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tokio_postgres_rustls::MakeRustlsConnect::new(config))
}
