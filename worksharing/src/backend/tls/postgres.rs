use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use ::postgres::config::{SslMode, SslNegotiation};
use ::postgres::error::SqlState;
use ::postgres::tls::MakeTlsConnect;
use ::postgres::{Client, Config, NoTls, Socket};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::trust::{trusted, verifying};
use crate::Error;
use crate::backend::postgres::socket::{Stop, connect as connect_through};

/// Connects as the URL's `sslmode` says. `again` is called before a second attempt.
///
/// # Errors
/// There is nothing to verify certificates with; or, within, there is no connection.
pub(crate) fn connect(
    config: &Config,
    stop: &Arc<Stop>,
    again: impl FnOnce(),
) -> Result<Result<Client, ::postgres::Error>, Error> {
    Ok(match config.get_ssl_mode() {
        SslMode::Require => {
            connect_through(config, MakeRustlsConnect::new((*trusted()?).clone()), stop)
        }
        SslMode::Prefer => prefer(config, Preferred::new()?, stop, again),
        _ => connect_through(config, NoTls, stop),
    })
}

/// As libpq does: with TLS, if the server has it, and without it where that fails.
fn prefer(
    config: &Config,
    tls: Preferred,
    stop: &Arc<Stop>,
    again: impl FnOnce(),
) -> Result<Client, ::postgres::Error> {
    let with_tls = match connect_through(config, tls.clone(), stop) {
        Err(error) if tls.met() && !stop.is_stopped() && may_do_without(config, &error) => error,
        done => return done,
    };
    tracing::debug!(error = %with_tls, "no PostgreSQL with TLS: trying without");
    again();
    let mut plain = config.clone();
    match connect_through(plain.ssl_mode(SslMode::Disable), NoTls, stop) {
        Err(error) if lets_nobody_in(&error) => Err(with_tls),
        done => done,
    }
}

/// The server has not spoken, or lets nobody in with TLS. Who asks for TLS from the first byte means it.
fn may_do_without(config: &Config, error: &::postgres::Error) -> bool {
    (error.as_db_error().is_none() || lets_nobody_in(error))
        && config.get_ssl_negotiation() != SslNegotiation::Direct
}

/// By the rules of `pg_hba.conf`, which may tell connections with TLS from others.
fn lets_nobody_in(error: &::postgres::Error) -> bool {
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

/// For `sslmode=prefer`, which is for whom TLS is welcome, but no condition: any certificate will do.
#[derive(Clone)]
pub(super) struct Preferred {
    tls: MakeRustlsConnect,
    met: Arc<AtomicBool>,
}

impl Preferred {
    pub(super) fn new() -> Result<Self, Error> {
        static MADE: OnceLock<MakeRustlsConnect> = OnceLock::new();
        let tls = match MADE.get() {
            Some(made) => made.clone(),
            None => {
                let made = verifying(|builder| {
                    builder
                        .dangerous()
                        .with_custom_certificate_verifier(Arc::new(Anybody))
                })?;
                MADE.get_or_init(|| MakeRustlsConnect::new(made)).clone()
            }
        };
        let met = Arc::default();
        Ok(Self { tls, met })
    }

    /// Whether a server was there to speak TLS with.
    fn met(&self) -> bool {
        self.met.load(Ordering::Relaxed)
    }
}

impl MakeTlsConnect<Socket> for Preferred {
    type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;
    type Error = Infallible;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, Infallible> {
        self.met.store(true, Ordering::Relaxed);
        MakeTlsConnect::<Socket>::make_tls_connect(&mut self.tls, host)
    }
}

/// Takes whoever answers for the server. A signature would prove nothing, so none is checked, and
/// certificates too old for rustls do no harm.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
