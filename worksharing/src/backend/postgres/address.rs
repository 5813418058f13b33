use std::error::Error as _;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::postgres::Config;
use ::postgres::config::{Host, SslMode};

use super::probe;
use super::socket::{self, InterruptibleClient};
use crate::backend::link::Watchdog;
use crate::backend::tls;
use crate::{Error, ErrorKind};

/// Where the server is.
pub(crate) struct Address {
    /// Without hosts.
    config: Config,
    hosts: Vec<(Host, Option<IpAddr>, u16)>,
    /// Which of them was the primary when it was last looked.
    last: AtomicUsize,
    /// For people, without the password.
    pub(crate) name: String,
}

const FORMS: &str = "write postgres://user:password@host:5432/database, or host=… user=… dbname=…";
const VALUES: &str = "in a URL write %40 for an @ and %2F for a / in a name or password; in the other form put a \
                      value with a space in it between ''; sslmode is disable, prefer, or require, which verifies \
                      the certificate, too";

/// How long one address may take to take a connection, where the URL does not say, and then to let us in.
const REACH: Duration = Duration::from_secs(2);
const LET_IN: Duration = Duration::from_secs(3);

impl Address {
    pub(crate) fn parse(url: &str, with_tls: bool) -> Result<Self, Error> {
        let parsed = Config::from_str(url).map_err(|error| unreadable(url, &error))?;
        let hosts = hosts(&parsed);
        // Of a password that is not written as it must be a part may stand before the host.
        let is_odd = |(host, ..): &(Host, Option<IpAddr>, u16)| matches!(host, Host::Tcp(host) if host.contains('@'));
        if hosts.is_empty() {
            return Err(Error::setting(format!(
                "the PostgreSQL URL names no host: {FORMS}"
            )));
        }
        if hosts.iter().any(is_odd) {
            return Err(Error::setting(format!(
                "the PostgreSQL URL has an @ in its host: {FORMS}; {VALUES}"
            )));
        }
        if parsed.get_ssl_mode() == SslMode::Require && !with_tls {
            return Err(tls::missing(
                "PostgreSQL URL asks for TLS (sslmode=require)",
                "leave sslmode out",
            ));
        }
        let name = hosts.iter().map(|(host, _, port)| match host {
            Host::Tcp(host) => format!("{host}:{port}"),
            #[cfg(unix)]
            Host::Unix(path) => format!("{}:{port}", path.display()),
        });
        let name = format!("postgres at {}", name.collect::<Vec<_>>().join(", "));
        let config = without_hosts(&parsed);
        Ok(Self {
            config,
            hosts,
            last: AtomicUsize::new(0),
            name,
        })
    }

    /// Opens a session on the first host that is a primary: there locks exclude, and values can be written.
    pub(crate) fn connect(&self, watchdog: &Watchdog) -> Result<InterruptibleClient, Error> {
        let mut failed = None;
        let last = self.last.load(Ordering::Relaxed);
        for at in (last..self.hosts.len()).chain(0..last) {
            let (host, address, port) = &self.hosts[at];
            watchdog.arm_for(self.patience());
            for address in addresses(host, *address, *port) {
                let mut config = self.config.clone();
                config.port(*port);
                match host {
                    Host::Tcp(host) => config.host(host),
                    #[cfg(unix)]
                    Host::Unix(path) => config.host_path(path),
                };
                if let Some(address) = address {
                    config.hostaddr(address);
                }
                let connected = self.connect_to(&config, watchdog);
                match connected.and_then(|client| self.primary(client, watchdog)) {
                    Ok(client) => {
                        self.last.store(at, Ordering::Relaxed);
                        return Ok(client);
                    }
                    // That one of them is a standby tells less than why the primary is not to be had.
                    Err(error) if error.kind() == ErrorKind::Unsuitable => {
                        failed.get_or_insert(error);
                    }
                    Err(error) => failed = Some(error),
                }
            }
        }
        let none = || Error::unavailable(format!("{} has no address", self.name));
        Err(failed.unwrap_or_else(none))
    }

    fn connect_to(
        &self,
        config: &Config,
        watchdog: &Watchdog,
    ) -> Result<InterruptibleClient, Error> {
        socket::client_can_start(config)?;
        watchdog.arm_for(self.patience());
        let stop = Arc::default();
        watchdog.may_interrupt(&stop);
        #[cfg(feature = "tls")]
        let client = tls::postgres::connect(config, &stop, || watchdog.arm_for(self.patience()))?;
        #[cfg(not(feature = "tls"))]
        let client = socket::connect(config, ::postgres::NoTls, &stop);
        match client {
            Ok(client) => Ok(stop.client(client)),
            Err(error) => Err(tls::unreachable(&self.name, error)),
        }
    }

    /// How long it may take to open a session.
    fn patience(&self) -> Duration {
        let reach = self.config.get_connect_timeout().copied();
        reach.unwrap_or(REACH).min(Duration::from_secs(60)) + LET_IN
    }

    fn primary(
        &self,
        mut client: InterruptibleClient,
        watchdog: &Watchdog,
    ) -> Result<InterruptibleClient, Error> {
        watchdog.arm();
        probe::not_in_recovery(&mut client, self)?;
        Ok(client)
    }

    /// An error of a session with this server.
    /// What advisory locks exclude on here: they are a database's own.
    pub(crate) fn database(&self) -> String {
        let name = self.config.get_dbname().or(self.config.get_user());
        format!("{}/{}", self.name, name.unwrap_or_default())
    }

    pub(crate) fn error(&self, error: ::postgres::Error) -> Error {
        Error::unavailable(format!("{} failed", self.name)).caused_by(error)
    }

    pub(crate) fn unsuitable(&self, message: &str) -> Error {
        Error::new(ErrorKind::Unsuitable, format!("{} {message}", self.name))
    }
}

/// Why a URL cannot be read: without anything of it that may be a part of a password.
fn unreadable(url: &str, why: &::postgres::Error) -> Error {
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
fn hosts(config: &Config) -> Vec<(Host, Option<IpAddr>, u16)> {
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

/// All addresses of a host, so that each has its time. One that cannot be found is tried, for the error.
fn addresses(host: &Host, address: Option<IpAddr>, port: u16) -> Vec<Option<IpAddr>> {
    let name = match host {
        Host::Tcp(name) => name,
        #[cfg(unix)]
        Host::Unix(_) => return vec![None],
    };
    match (address, (name.as_str(), port).to_socket_addrs()) {
        (Some(address), _) => vec![Some(address)],
        (None, Ok(found)) => found.map(|found| Some(found.ip())).collect(),
        (None, Err(_)) => vec![None],
    }
}

/// The settings but for the hosts. Which host is right is decided here.
fn without_hosts(from: &Config) -> Config {
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
    config
        .application_name(from.get_application_name().unwrap_or("worksharing"))
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

#[cfg(test)]
mod tests;
