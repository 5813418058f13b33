use std::env;
use std::path::PathBuf;
use std::process::Command;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use crate::{PostgresServer, RedisServer, files_for_servers};

/// The files that servers and clients with TLS need, by their names: certificates by an authority that was made for the
/// test (`ca.pem`), for 127.0.0.1 (`server`), for `localhost`, and for another machine (`elsewhere`).
#[derive(Debug)]
pub struct Certificates(PathBuf);

impl Certificates {
    /// Runs the test of this name again in a process that trusts what is in this file. What is trusted is said by the
    /// environment, which is that of a process.
    pub fn trusting(file: &str, test: &str, body: impl FnOnce(&Self)) {
        const VARIABLE: &str = "WORKSHARING_TEST_FILES";
        if let Some(files) = env::var_os(VARIABLE) {
            return body(&Self(files.into()));
        }
        let files = make_files();
        let output = Command::new(env::current_exe().expect("a program"))
            .args([test, "--exact", "--nocapture"])
            .env(VARIABLE, files.path())
            .env("SSL_CERT_FILE", files.path().join(file))
            .env_remove("SSL_CERT_DIR")
            .output()
            .expect("it runs");
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        // A name that is not this test's would run nothing.
        assert!(said.contains("1 passed"), "{said}");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The path of a file, as text.
    pub fn file(&self, name: &str) -> String {
        let path = self.path(name);
        path.to_str().expect("an ordinary path").to_owned()
    }

    /// The settings of a Redis or a sentinel that shows this certificate, and asks others for one by the same authority.
    pub(crate) fn of_redis(&self, certificate: &str) -> [String; 8] {
        [
            "--tls-auth-clients".to_owned(),
            "no".to_owned(),
            "--tls-cert-file".to_owned(),
            self.file(&format!("{certificate}.pem")),
            "--tls-key-file".to_owned(),
            self.file(&format!("{certificate}.key")),
            "--tls-ca-cert-file".to_owned(),
            self.file("ca.pem"),
        ]
    }

    /// A PostgreSQL with this certificate.
    pub fn postgres(&self, certificate: &str, settings: &[(&str, &str)]) -> PostgresServer {
        let key = self.file(&format!("{certificate}.key"));
        let certificate = self.file(&format!("{certificate}.pem"));
        let tls = [
            ("ssl", "on"),
            ("ssl_cert_file", &certificate),
            ("ssl_key_file", &key),
        ];
        PostgresServer::start_with(&[&tls, settings].concat())
    }

    /// A Redis with this certificate.
    pub fn redis(&self, certificate: &str) -> RedisServer {
        RedisServer::start_with_tls(self, certificate, &[])
    }
}

fn make_files() -> tempfile::TempDir {
    let (authority, ca) = authority("the test's authority");
    let (_, other) = self::authority("another authority");
    let (server, server_key) = certificate("127.0.0.1", &authority);
    let (local, local_key) = certificate("localhost", &authority);
    let (elsewhere, elsewhere_key) = certificate("elsewhere.example", &authority);
    let alone =
        rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
    files_for_servers(&[
        ("ca.pem", &ca),
        ("other-ca.pem", &other),
        ("server.pem", &server),
        ("server.key", &server_key),
        ("localhost.pem", &local),
        ("localhost.key", &local_key),
        ("elsewhere.pem", &elsewhere),
        ("elsewhere.key", &elsewhere_key),
        ("self-signed.pem", &alone.cert.pem()),
        ("self-signed.key", &alone.signing_key.serialize_pem()),
        ("without-tls.conf", "hostnossl all all 127.0.0.1/32 trust\n"),
        ("nobody.conf", "host all postgres 127.0.0.1/32 trust\n"),
    ])
}

/// An authority, and its certificate.
fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    (Issuer::new(params, key), certificate)
}

/// A certificate for a host name or address, and its key.
fn certificate(host: &str, authority: &Issuer<'_, KeyPair>) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([host.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}
