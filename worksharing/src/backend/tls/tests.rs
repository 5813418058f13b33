use crate::ErrorKind;

#[cfg(feature = "postgres")]
#[test]
fn sslmode_require_without_tls_names_the_feature() {
    use crate::backend::postgres::Address;

    let parse = |mode| Address::parse(&format!("postgres://u@localhost/db?sslmode={mode}"), false);
    names_the_feature(parse("require").err(), "sslmode=require");
    assert!(parse("prefer").is_ok() && parse("disable").is_ok());
}

#[cfg(feature = "redis")]
#[test]
fn rediss_without_tls_names_the_feature() {
    use crate::backend::redis::Address;

    names_the_feature(
        Address::parse("rediss://localhost", false).err(),
        "rediss://",
    );
    assert!(Address::parse("redis://localhost", false).is_ok());
}

fn names_the_feature(error: Option<crate::Error>, found: &str) {
    let error = error.expect("there is no TLS");
    assert_eq!(error.kind(), ErrorKind::Setting);
    for part in [found, "`tls`", r#"features = ["tls"]"#] {
        assert!(error.to_string().contains(part), "{part} is not in {error}");
    }
}

#[cfg(feature = "postgres")]
#[test]
fn other_modes_of_libpq_are_refused_with_those_that_there_are() {
    let builder = crate::WorkSharing::builder().postgres("postgres://u@h/d?sslmode=verify-full");
    let error = builder
        .build()
        .expect_err("there is no such mode")
        .to_string();
    assert!(
        error.contains("require, which verifies the certificate"),
        "{error}"
    );
}

#[cfg(all(feature = "tls", feature = "postgres"))]
#[test]
fn the_choice_of_cryptography_is_the_programs() {
    use rustls::RootCertStore;
    use rustls::crypto::{CryptoProvider, ring};

    super::postgres::Preferred::new().expect("ring knows TLS");
    assert!(CryptoProvider::get_default().is_none(), "chosen for it");
    // A choice that can be told from ours.
    let mut chosen = ring::default_provider();
    chosen.cipher_suites.truncate(1);
    chosen.install_default().expect("nobody has chosen");
    super::trust::verifying(|builder| builder.with_root_certificates(RootCertStore::empty()))
        .expect("it knows TLS");
    let stands = CryptoProvider::get_default().expect("it was chosen");
    assert_eq!(stands.cipher_suites.len(), 1);
}
