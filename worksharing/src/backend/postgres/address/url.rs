//! What a URL says, and what may be told of it.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use ::postgres::Config;
use ::postgres::config::Host;

use super::REACH;
use crate::Error;

pub(super) const FORMS: &str =
    "write postgres://user:password@host:5432/database, or host=… user=… dbname=…";
pub(super) const VALUES: &str = "in a URL write %40 for an @ and %2F for a / in a name or password; in the other form put a \
                      value with a space in it between ''; sslmode is disable, prefer, or require, which verifies \
                      the certificate, too";

/// Why a URL cannot be read: without anything of it that may be a part of a password.
pub(super) fn unreadable(url: &str, why: &::postgres::Error) -> Error {
    const OPTIONS: [&str; 16] = [
        "port",
        "host",
        "hostaddr",
        "sslmode",
        "sslnegotiation",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "connect_timeout",
        "tcp_user_timeout",
        "keepalives",
        "keepalives_idle",
        "target_session_attrs",
        "channel_binding",
        "load_balance_hosts",
        "gssencmode",
    ];
    const OTHERS: [&str; 8] = [
        "mysql", "mariadb", "redis", "rediss", "http", "https", "sqlite", "jdbc",
    ];
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    if let Some(scheme) = scheme.filter(|scheme| OTHERS.contains(scheme)) {
        return Error::setting(format!(
            "the PostgreSQL URL begins with {scheme:?}: {FORMS}"
        ));
    }
    let why = why.source().map(ToString::to_string).unwrap_or_default();
    let is_named = |option: &&&str| why.contains(&format!("`{option}`"));
    let named = OPTIONS
        .iter()
        .find(is_named)
        .map(|option| format!(": there is no option {option} here, or it cannot have this value"));
    let named = named.unwrap_or_default();
    Error::setting(format!(
        "the PostgreSQL URL cannot be read{named}: {FORMS}; {VALUES}"
    ))
}

/// An address alone is also the name that the certificate is to be for.
pub(super) fn hosts(config: &Config) -> Vec<(Host, Option<IpAddr>, u16)> {
    let (names, addresses, ports) = (
        config.get_hosts(),
        config.get_hostaddrs(),
        config.get_ports(),
    );
    let port = |i: usize| ports.get(i).or(ports.first()).copied().unwrap_or(5432);
    let host = |i: usize| {
        let address = addresses.get(i).copied();
        let name = names.get(i).cloned();
        let name = name.or_else(|| Some(Host::Tcp(address?.to_string())))?;
        Some((name, address, port(i)))
    };
    (0..names.len().max(addresses.len()))
        .filter_map(host)
        .collect()
}

/// The settings but for the hosts. Which host is right is decided here.
pub(super) fn without_hosts(from: &Config) -> Config {
    let mut config = Config::new();
    if let Some(user) = from.get_user() {
        config.user(user);
    }
    if let Some(password) = from.get_password() {
        config.password(password);
    }
    if let Some(dbname) = from.get_dbname() {
        config.dbname(dbname);
    }
    if let Some(options) = from.get_options() {
        config.options(options);
    }
    if let Some(name) = from.get_application_name() {
        config.application_name(name);
    }
    config
        .ssl_mode(from.get_ssl_mode())
        .ssl_negotiation(from.get_ssl_negotiation())
        .channel_binding(from.get_channel_binding())
        .connect_timeout(from.get_connect_timeout().copied().unwrap_or(REACH))
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(5))
        .keepalives_interval(Duration::from_secs(2))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(6));
    config
}
