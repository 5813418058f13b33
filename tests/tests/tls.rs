//! TLS to both servers, whose certificates are by an authority that was made for the test. What is trusted is
//! said by the environment, which is that of a process: each test is run again in one of its own.

use std::time::{Duration, Instant};

use tests::{Certificates, PostgresServer, wait_until, whole};
use worksharing::{Builder, ErrorKind, WorkSharing};

#[test]
fn postgres_alone_is_reached_through_tls() {
    Certificates::trusting("ca.pem", "postgres_alone_is_reached_through_tls", |files| {
        let server = files.postgres("server", &[]);
        let builder = || WorkSharing::builder().postgres(require(&server));
        share(&builder);
        assert_eq!(sessions(&server, builder()), Sessions::ENCRYPTED);
    });
}

#[test]
fn both_servers_are_reached_through_tls() {
    Certificates::trusting("ca.pem", "both_servers_are_reached_through_tls", |files| {
        let (server, redis) = (files.postgres("server", &[]), files.redis("server"));
        let builder = || {
            WorkSharing::builder()
                .postgres(require(&server))
                .redis(redis.tls_url())
        };
        share(&builder);
        assert_eq!(sessions(&server, builder()), Sessions::ENCRYPTED);
        let keys: usize = redis::cmd("DBSIZE").query(&mut redis.connect()).unwrap();
        assert_eq!(keys, 1, "the value is there");
    });
}

#[test]
fn address_instead_of_a_host_is_what_the_certificate_is_for() {
    let name = "address_instead_of_a_host_is_what_the_certificate_is_for";
    Certificates::trusting("ca.pem", name, |files| {
        let server = files.postgres("server", &[]);
        let url = format!(
            "hostaddr=127.0.0.1 port={} user=postgres dbname=postgres sslmode=require",
            server.port()
        );
        let builder = WorkSharing::builder().postgres(url);
        assert_eq!(sessions(&server, builder), Sessions::ENCRYPTED);
    });
}

#[test]
fn unknown_authority_is_refused_with_advice() {
    let name = "unknown_authority_is_refused_with_advice";
    Certificates::trusting("other-ca.pem", name, |files| {
        let server = files.postgres("server", &[]);
        refused(
            WorkSharing::builder().postgres(require(&server)),
            &["postgres at 127.0.0.1", "SSL_CERT_FILE", "UnknownIssuer"],
        );
        let redis = files.redis("server");
        refused(
            WorkSharing::builder()
                .postgres(server.url())
                .redis(redis.tls_url()),
            &["redis at 127.0.0.1", "SSL_CERT_FILE", "UnknownIssuer"],
        );
    });
}

#[test]
fn certificate_for_another_name_is_refused_with_advice() {
    let name = "certificate_for_another_name_is_refused_with_advice";
    Certificates::trusting("ca.pem", name, |files| {
        let server = files.postgres("elsewhere", &[]);
        refused(
            WorkSharing::builder().postgres(require(&server)),
            &["postgres at 127.0.0.1", "another name", "elsewhere.example"],
        );
        let redis = files.redis("elsewhere");
        refused(
            WorkSharing::builder()
                .postgres(server.url())
                .redis(redis.tls_url()),
            &["redis at 127.0.0.1", "another name", "elsewhere.example"],
        );
    });
}

#[test]
fn machine_without_authorities_needs_them_only_where_tls_is_asked_for() {
    let name = "machine_without_authorities_needs_them_only_where_tls_is_asked_for";
    Certificates::trusting("missing.pem", name, |files| {
        let server = files.postgres("server", &[]);
        refused(
            WorkSharing::builder().postgres(require(&server)),
            &["no trusted certificates", "SSL_CERT_FILE", "missing.pem"],
        );
        let prefer = WorkSharing::builder().postgres(server.url());
        assert_eq!(sessions(&server, prefer), Sessions::ENCRYPTED);
    });
}

#[test]
fn required_tls_is_never_done_without() {
    Certificates::trusting("ca.pem", "required_tls_is_never_done_without", |files| {
        let without = PostgresServer::start();
        let elsewhere = files.postgres("server", NO_COMMON_CIPHER);
        for server in [without, elsewhere] {
            refused(
                WorkSharing::builder().postgres(require(&server)),
                &["cannot be reached", "TLS"],
            );
        }
    });
}

#[test]
fn preferred_tls_takes_any_certificate() {
    Certificates::trusting(
        "other-ca.pem",
        "preferred_tls_takes_any_certificate",
        |files| {
            for certificate in ["server", "elsewhere", "self-signed"] {
                let server = files.postgres(certificate, &[]);
                let builder = || WorkSharing::builder().postgres(server.url());
                share(&builder);
                assert_eq!(
                    sessions(&server, builder()),
                    Sessions::ENCRYPTED,
                    "{certificate}"
                );
            }
        },
    );
}

#[test]
fn preferred_tls_is_done_without_where_it_does_not_work() {
    let name = "preferred_tls_is_done_without_where_it_does_not_work";
    Certificates::trusting("ca.pem", name, |files| {
        let rules = files.file("without-tls.conf");
        let servers = [
            ("no TLS", PostgresServer::start()),
            ("no cipher", files.postgres("server", NO_COMMON_CIPHER)),
            (
                "not let in",
                files.postgres("server", &[("hba_file", &rules)]),
            ),
        ];
        for (what, server) in servers {
            let builder = || WorkSharing::builder().postgres(server.url());
            share(&builder);
            assert_eq!(sessions(&server, builder()), Sessions::PLAIN, "{what}");
        }
    });
}

#[test]
fn preferring_tls_does_not_hide_why_nobody_is_let_in() {
    let name = "preferring_tls_does_not_hide_why_nobody_is_let_in";
    Certificates::trusting("ca.pem", name, |files| {
        let rules = files.file("nobody.conf");
        // The server's own readiness is asked for by the superuser.
        let server = files.postgres("server", &[("hba_file", &rules)]);
        refused(
            WorkSharing::builder().postgres(server.url_for("stranger")),
            &["pg_hba.conf", "SSL encryption"],
        );
    });
}

/// The server insists on a key exchange that rustls does not know.
const NO_COMMON_CIPHER: &[(&str, &str)] = &[
    ("ssl_max_protocol_version", "TLSv1.2"),
    ("ssl_ciphers", "AES128-SHA"),
];

fn require(server: &PostgresServer) -> String {
    format!("{}?sslmode=require", server.url())
}

/// Two runtimes, as in two processes: one computes, the other is given the same.
fn share(builder: &dyn Fn() -> Builder) {
    let [one, other] = [(); 2].map(|()| builder().build().unwrap());
    one.check().unwrap();
    other.check().unwrap();
    assert_eq!(one.work("k").run_blocking(|| 1), 1);
    assert_eq!(other.work("k").run_blocking(|| 2), 1);
    assert_eq!(one.stats().degraded + other.stats().degraded, 0);
}

/// `check` says these things, and calls return their value all the same.
fn refused(builder: Builder, parts: &[&str]) {
    let sharing = builder.build().unwrap();
    let error = sharing.check().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let told = whole(&error);
    for part in parts {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    let began = Instant::now();
    assert_eq!(sharing.work("k").run_blocking(|| 1), 1);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_ne!(sharing.stats().degraded, 0);
}

/// A runtime's sessions with PostgreSQL.
#[derive(Debug, PartialEq, Eq)]
struct Sessions {
    encrypted: i64,
    plain: i64,
}

impl Sessions {
    const ENCRYPTED: Self = Self {
        encrypted: 2,
        plain: 0,
    };
    const PLAIN: Self = Self {
        encrypted: 0,
        plain: 2,
    };
}

/// What kind of sessions the runtime opens.
fn sessions(server: &PostgresServer, builder: Builder) -> Sessions {
    let long = Duration::from_secs(30);
    wait_until(long, "those of others end", || server.sessions() == 0);
    let sharing = builder.build().unwrap();
    sharing.check().unwrap();
    let row = server
        .connect()
        .query_one(
            "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl)
               FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name LIKE 'worksharing%'",
            &[],
        )
        .unwrap();
    Sessions {
        encrypted: row.get(0),
        plain: row.get(1),
    }
}
