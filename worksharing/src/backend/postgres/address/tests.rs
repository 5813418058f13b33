use super::*;

fn error(url: &str) -> String {
    let error = Address::parse(url, true).err();
    let error = error.unwrap_or_else(|| panic!("{url} can be read"));
    format!("{error} {error:?} {}", error.chain())
}

#[test]
fn hosts_are_taken_one_by_one_with_their_ports() {
    let of = |url: &str| Address::parse(url, true).unwrap();
    let address = of("postgres://me:secret@one:1,two,[::1]:3/db?sslmode=disable");
    assert_eq!(address.name, "postgres at one:1, two:5432, ::1:3");
    assert!(address.config.get_hosts().is_empty() && address.config.get_ports().is_empty());
    assert_eq!(address.config.get_user(), Some("me"));
    assert_eq!(address.config.get_password(), Some(&b"secret"[..]));
    assert_eq!(address.config.get_dbname(), Some("db"));
    assert_eq!(address.config.get_ssl_mode(), SslMode::Disable);
    assert_eq!(address.config.get_application_name(), None);
    let address = of("hostaddr=127.0.0.1,127.0.0.2 port=7 connect_timeout=9 application_name=me");
    assert_eq!(address.name, "postgres at 127.0.0.1:7, 127.0.0.2:7");
    assert_eq!(
        address.config.get_connect_timeout(),
        Some(&Duration::from_secs(9))
    );
    assert_eq!(address.config.get_application_name(), Some("me"));
    let address = of("host=/run/postgresql user=me");
    assert_eq!(address.name, "postgres at /run/postgresql:5432");
}

#[test]
fn a_session_is_named_by_what_it_is_for_and_by_the_process() {
    assert_eq!(Purpose::Leases.name(), "worksharing leases");
    assert_eq!(Purpose::Values.name(), "worksharing values");
    for (purpose, before) in [
        (Purpose::Locks, "worksharing locks: "),
        (Purpose::Listener, "worksharing listener: "),
    ] {
        let name = purpose.name();
        assert!(name.len() <= 63 && name.starts_with(before), "{name}");
        assert!(
            name.ends_with(&format!(" {}", std::process::id())),
            "{name}"
        );
    }
}

#[test]
fn what_may_be_of_a_password_is_not_told() {
    for url in [
        "host=localhost password=hunter2://x sslmode=never",
        "host=localhost password=my hunter2=x",
        "host=localhost password=my hunter2",
        "postgres://me:my@hunter2@localhost/db",
        "postgres://me:my@localhost/hunter2@localhost/db",
        "postgres://me:my@hunter2:5432@localhost/db",
        "postgres://me:hunter2@localhost/db?hunter2=1",
        "me:hunter2://localhost",
        "hunter2://localhost",
    ] {
        let error = error(url);
        assert!(!error.contains("hunter2"), "{error}");
    }
    // A scheme in the password is none of the URL.
    let address = Address::parse("host=localhost password=mysql://x", true);
    assert_eq!(address.unwrap().name, "postgres at localhost:5432");
}

#[test]
fn what_cannot_be_read_is_named_where_it_can_be() {
    assert!(error("mysql://localhost").contains("begins with \"mysql\""));
    assert!(error("postgres://localhost?sslmode=verify-full").contains("option sslmode"));
    assert!(error("host=localhost sslrootcert=x").contains("option sslrootcert"));
    assert!(error("user=me").contains("names no host"));
    assert!(error("postgres://me:my@word@localhost").contains("%40"));
}

/// All processes choose a key's server by this.
#[test]
fn identity_is_frozen() {
    let of = |url: &str| Address::parse(url, true).unwrap().identity();
    for (url, identity) in [
        ("postgres://me:secret@One/db", "one:5432/db"),
        (
            "postgresql://other@one:5432/db?sslmode=require&connect_timeout=9",
            "one:5432/db",
        ),
        (
            "host=one dbname=db user=me password=secret application_name=app",
            "one:5432/db",
        ),
        ("postgres://me@one:6000", "one:6000/me"),
        ("postgres://me@[::1]:6000/db", "::1:6000/db"),
        ("host=one hostaddr=127.0.0.1 dbname=db", "one:5432/db"),
        ("hostaddr=127.0.0.1 dbname=db", "127.0.0.1:5432/db"),
        ("postgres://me@two:1,one:2,two:1/db", "one:2,two:1/db"),
        ("host=/run/postgresql user=me", "/run/postgresql:5432/me"),
        ("postgres://me@one/a%40b", "one:5432/a@b"),
    ] {
        assert_eq!(of(url), identity, "{url}");
    }
}
