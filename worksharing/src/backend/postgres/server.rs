use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ::postgres::Config;
use ::postgres::config::{Host, SslMode};

use super::lease::Tokens;
use super::listener::{Listener, Spare};
use super::session::Session;
use super::socket::{self, InterruptibleClient};
use crate::backend::link::{Link, Watchdog};
use crate::backend::postgres::lock::KeyTable;
use crate::backend::tls;
use crate::events::RateLimited;
use crate::lock::PostgresLock;
use crate::{Error, ErrorKind};

/// What a [`Server`] is told by the builder.
pub(crate) struct Settings<'a> {
    pub(crate) url: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) table: &'a str,
    pub(crate) max_held_keys: usize,
    pub(crate) lock: PostgresLock,
}

/// A PostgreSQL server with this process's two sessions on it, shared by the lock and the store.
pub(crate) struct Server {
    pub(crate) session: Link<Session>,
    pub(crate) key_table: Arc<KeyTable>,
    pub(crate) prefix: String,
}

impl Server {
    pub(crate) fn new(settings: Settings<'_>) -> Result<Arc<Self>, Error> {
        let address = Arc::new(Address::parse(settings.url, tls::BUILT_IN)?);
        let table = Table::parse(settings.table)?;
        let key_table = Arc::new(KeyTable::new(settings.max_held_keys));
        let spare = Spare::default();
        let listener = Link::new(Listener::new(&address, &key_table, &spare));
        let session = Session {
            address,
            table,
            lock: settings.lock,
            key_table: Arc::clone(&key_table),
            listener,
            spare,
            leases: Tokens::default(),
            number: AtomicU64::new(0),
            said: RateLimited::default(),
        };
        let prefix = settings.prefix.to_owned();
        let server = Arc::new(Self {
            session: Link::new(session),
            key_table,
            prefix,
        });
        server.key_table.belongs_to(&server);
        Ok(server)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.session.fmt(f)
    }
}

/// How long it may take to open a session.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the server is.
pub(crate) struct Address {
    config: Config,
    /// For people, without the password.
    pub(crate) name: String,
}

const FORMS: &str = "write postgres://user:password@host:5432/database, or host=… user=… dbname=…";

impl Address {
    pub(crate) fn parse(url: &str, with_tls: bool) -> Result<Self, Error> {
        if let Some((scheme, _)) = url.split_once("://")
            && !["postgres", "postgresql"].contains(&scheme)
        {
            return Err(Error::setting(format!(
                "the PostgreSQL URL begins with {scheme:?}: {FORMS}"
            )));
        }
        let mut config = Config::from_str(url).map_err(|error| {
            Error::setting(format!(
                "the PostgreSQL URL cannot be read: {FORMS}; sslmode is disable, prefer, or require, which \
                 verifies the certificate, too"
            ))
            .caused_by(error)
        })?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Error::setting(format!(
                "the PostgreSQL URL names no host: {FORMS}"
            )));
        }
        if config.get_ssl_mode() == SslMode::Require && !with_tls {
            return Err(tls::missing(
                "PostgreSQL URL asks for TLS (sslmode=require)",
                "leave sslmode out",
            ));
        }
        // An address alone is also the name that the certificate is to be for.
        if config.get_hosts().is_empty() {
            for address in config.get_hostaddrs().to_vec() {
                config.host(&address.to_string());
            }
        }
        if config.get_application_name().is_none() {
            config.application_name("worksharing");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(2));
        }
        config
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(6));
        let name = describe(&config);
        Ok(Self { config, name })
    }

    /// Opens a session.
    pub(crate) fn connect(&self, watchdog: &Watchdog) -> Result<InterruptibleClient, Error> {
        socket::client_can_start(&self.config)?;
        watchdog.arm_for(CONNECT);
        let stop = Arc::default();
        watchdog.may_interrupt(&stop);
        #[cfg(feature = "tls")]
        let client = tls::postgres::connect(&self.config, &stop, || watchdog.arm_for(CONNECT))?;
        #[cfg(not(feature = "tls"))]
        let client = socket::connect(&self.config, ::postgres::NoTls, &stop);
        match client {
            Ok(client) => Ok(stop.client(client)),
            Err(error) => Err(tls::unreachable(&self.name, error)),
        }
    }

    /// An error of a session with this server.
    pub(crate) fn error(&self, error: ::postgres::Error) -> Error {
        Error::unavailable(format!("{} failed", self.name)).caused_by(error)
    }

    pub(crate) fn unsuitable(&self, message: &str) -> Error {
        Error::new(ErrorKind::Unsuitable, format!("{} {message}", self.name))
    }
}

fn describe(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("postgres at {host}:{port}")
}

/// The name of the table of values, quoted for use in SQL.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) values: String,
    pub(crate) leases: String,
}

impl Table {
    fn parse(name: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = name.split('.').collect();
        let fits = |part: &&str| {
            !part.is_empty() && part.len() <= 56 && !part.chars().any(char::is_control)
        };
        if parts.len() > 2 || !parts.iter().all(fits) {
            return Err(Error::setting(format!(
                "the table name {name:?} cannot be: write a name of up to 56 bytes, or schema.name, for example \
                 `.table(\"worksharing\")`"
            )));
        }
        let quoted = |suffix: &str| {
            let last = parts.len() - 1;
            let quote = |(i, part): (usize, &&str)| {
                let suffix = if i == last { suffix } else { "" };
                format!("\"{}{suffix}\"", part.replace('"', "\"\""))
            };
            parts
                .iter()
                .enumerate()
                .map(quote)
                .collect::<Vec<_>>()
                .join(".")
        };
        Ok(Self {
            values: quoted(""),
            leases: quoted("_leases"),
        })
    }
}
