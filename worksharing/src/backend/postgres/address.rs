mod url;

use std::net::{IpAddr, ToSocketAddrs as _};
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::postgres::Config;
use ::postgres::config::{Host, SslMode};
use ::postgres::error::SqlState;

use self::url::{FORMS, VALUES, hosts, unreadable, without_hosts};
use super::probe;
use super::socket::{self, InterruptibleClient};
use crate::backend::link::Watchdog;
use crate::backend::process_name::process_name;
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

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Locks, and values if they are there.
    Locks,
    /// Lease rows, and values if they are there.
    Leases,
    /// Values alone.
    Values,
    Listener,
}

impl Purpose {
    /// As `pg_stat_activity` has it. What may go through a pooler is named alike in all processes: it gives a session the
    /// name of each client that it lends it to, in a statement of its own if that is another one.
    fn name(self) -> String {
        match self {
            Self::Locks => process_name("worksharing locks: ", ' ', LONGEST),
            Self::Listener => process_name("worksharing listener: ", ' ', LONGEST),
            Self::Leases => "worksharing leases".to_owned(),
            Self::Values => "worksharing values".to_owned(),
        }
    }
}

/// The server cuts what is longer.
const LONGEST: usize = 63;

/// How long one address may take to take a connection, where the URL does not say, and then to let us in.
const REACH: Duration = Duration::from_secs(2);
const LET_IN: Duration = Duration::from_secs(3);

impl Address {
    pub(crate) fn parse(url: &str, with_tls: bool) -> Result<Self, Error> {
        let parsed = Config::from_str(url).map_err(|error| unreadable(url, &error))?;
        let hosts = hosts(&parsed);
        // Of a password that is not written as it must be a part may stand before the host.
        let is_odd = |(host, ..): &(Host, Option<IpAddr>, u16)| matches!(host, Host::Tcp(host) if host.contains('@'));
        let is_url = url.starts_with("postgres://") || url.starts_with("postgresql://");
        let before_options = url.split('?').next().unwrap_or_default();
        let is_ambiguous = is_url && before_options.matches('@').count() > 1;
        if hosts.is_empty() {
            return Err(Error::setting(format!(
                "the PostgreSQL URL names no host: {FORMS}"
            )));
        }
        if is_ambiguous || hosts.iter().any(is_odd) {
            return Err(Error::setting(format!(
                "the PostgreSQL URL has an @ in its host or database: {FORMS}; {VALUES}"
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

    /// Opens a session on the first host that is a primary: there locks exclude, and values can be written. What it is for
    /// is told to the server, unless the URL has a name for it.
    pub(crate) fn connect(
        &self,
        purpose: Purpose,
        watchdog: &Watchdog,
    ) -> Result<InterruptibleClient, Error> {
        let mut failed = None;
        let last = self.last.load(Ordering::Relaxed);
        for at in (last..self.hosts.len()).chain(0..last) {
            let (host, address, port) = &self.hosts[at];
            watchdog.arm_for(self.patience());
            for address in addresses(host, *address, *port) {
                let mut config = self.config.clone();
                if config.get_application_name().is_none() {
                    config.application_name(&purpose.name());
                }
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
            Err(error) => Err(self.unreachable(error)),
        }
    }

    /// Why no session is to be had.
    fn unreachable(&self, error: ::postgres::Error) -> Error {
        let advice = match error.code() {
            Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => {
                "has no session left for this role: each process takes two; raise max_connections there, or the \
                 role's or database's CONNECTION LIMIT"
            }
            Some(code) if *code == SqlState::CANNOT_CONNECT_NOW => {
                "lets nobody in now: it is starting, recovering or shutting down"
            }
            _ => return tls::unreachable(&self.name, error),
        };
        Error::unavailable(format!("{} {advice}", self.name)).caused_by(error)
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

    /// What advisory locks exclude on here: they are a database's own.
    pub(crate) fn database(&self) -> String {
        format!("{}/{}", self.name, self.dbname())
    }

    /// Host, port and database, as `host:port/database`: what tells this lock server from the others, in all processes. Of
    /// several hosts all, in any order. Frozen.
    pub(crate) fn identity(&self) -> String {
        let hosts = self.hosts.iter().map(|(host, _, port)| match host {
            Host::Tcp(host) => format!("{}:{port}", host.to_ascii_lowercase()),
            #[cfg(unix)]
            Host::Unix(path) => format!("{}:{port}", path.display()),
        });
        let mut hosts: Vec<_> = hosts.collect();
        hosts.sort_unstable();
        hosts.dedup();
        format!("{}/{}", hosts.join(","), self.dbname())
    }

    /// As in libpq, it is named like the user where it is left out.
    fn dbname(&self) -> &str {
        let name = self.config.get_dbname().or(self.config.get_user());
        name.unwrap_or_default()
    }

    /// An error of a session with this server.
    pub(crate) fn error(&self, error: ::postgres::Error) -> Error {
        Error::unavailable(format!("{} failed", self.name)).caused_by(error)
    }

    pub(crate) fn unsuitable(&self, message: &str) -> Error {
        Error::new(ErrorKind::Unsuitable, format!("{} {message}", self.name))
    }
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

#[cfg(test)]
mod tests;
