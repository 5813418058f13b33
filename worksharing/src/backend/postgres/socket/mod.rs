//! The socket of a PostgreSQL client, which another thread can put an end to.
//!
//! The blocking client waits for a silent server for ever, in its handshake, too. But it hands its socket to
//! whoever negotiates TLS from the first byte on; so that is what the [`Connector`] seems to do, with TLS or without.

mod connector;
mod stop;
#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

#[cfg(unix)]
use ::postgres::NoTls;
use ::postgres::config::{Host, SslMode, SslNegotiation};
use ::postgres::tls::{MakeTlsConnect, TlsConnect};
use ::postgres::{Client, Config, Socket};

use self::connector::Connector;
pub(crate) use self::stop::Stop;
use crate::Error;

/// A client that whoever has its [`Stop`] can interrupt.
pub(crate) struct InterruptibleClient {
    client: Client,
    pub(crate) stop: Arc<Stop>,
}

impl Deref for InterruptibleClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for InterruptibleClient {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// Connects through a socket that can be stopped, with this TLS, as the configuration's `sslmode` says.
pub(crate) fn connect<T>(
    config: &Config,
    tls: T,
    stop: &Arc<Stop>,
) -> Result<Client, ::postgres::Error>
where
    T: MakeTlsConnect<Socket> + Send + 'static,
    T::TlsConnect: Send + 'static,
    T::Stream: Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    #[cfg(unix)]
    if config
        .get_hosts()
        .iter()
        .any(|host| matches!(host, Host::Unix(_)))
    {
        // There is no TLS there, and the client keeps the socket to itself.
        return config.connect(NoTls);
    }
    let connector = Connector {
        tls,
        mode: config.get_ssl_mode(),
        negotiation: config.get_ssl_negotiation(),
        stop: Arc::clone(stop),
    };
    let mut config = config.clone();
    config
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct)
        .connect(connector)
}

/// The client panics where there is no descriptor left for its runtime, or no thread for the resolver of names. So
/// it is not called where that is to be seen.
pub(crate) fn client_can_start(config: &Config) -> Result<(), Error> {
    let refused = |what, error| {
        Error::unavailable(format!("this process has no {what} left")).caused_by(error)
    };
    #[cfg(unix)]
    {
        // An epoll instance, its copy, an event, three for signals, the socket, and a file of the resolver.
        let pairs: io::Result<Vec<_>> = (0..4).map(|_| UnixStream::pair()).collect();
        drop(pairs.map_err(|error| refused("descriptors", error))?);
    }
    let is_named = |host: &Host| matches!(host, Host::Tcp(name) if name.parse::<IpAddr>().is_err());
    if config.get_hostaddrs().is_empty() && config.get_hosts().iter().any(is_named) {
        let thread = thread::Builder::new().spawn(|| ());
        drop(thread.map_err(|error| refused("threads", error))?.join());
    }
    Ok(())
}
