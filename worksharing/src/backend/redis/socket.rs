use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use redis::ConnectionAddr;
#[cfg(feature = "tls")]
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

use super::address::Address;
use crate::Error;
use crate::backend::link::{Interrupt, Watchdog};
use crate::backend::tls;

/// How long Redis may stay silent: no byte read, or none written.
pub(super) const SILENCE: Duration = Duration::from_secs(2);

enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Interrupt for Socket {
    fn interrupt(&self) {
        // An error says that it is closed already.
        drop(match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Both),
            #[cfg(unix)]
            Self::Unix(socket) => socket.shutdown(Shutdown::Both),
        });
    }
}

/// A socket that the watchdog knows, too.
struct Shared(Arc<Socket>);

impl Read for Shared {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &*self.0 {
            Socket::Tcp(socket) => (&mut &*socket).read(into),
            #[cfg(unix)]
            Socket::Unix(socket) => (&mut &*socket).read(into),
        }
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &*self.0 {
            Socket::Tcp(socket) => (&mut &*socket).write(bytes),
            #[cfg(unix)]
            Socket::Unix(socket) => (&mut &*socket).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What bytes go through.
pub(super) trait Transport: Read + Write + Send {}

impl<S: Read + Write + Send> Transport for S {}

/// Connects, with TLS if the address says so. No read and no write takes longer than [`SILENCE`].
pub(super) fn connect(address: &Address, watchdog: &Watchdog) -> Result<Box<dyn Transport>, Error> {
    let unreachable = |error: io::Error| tls::unreachable(&address.name, error);
    let socket = Arc::new(open(&address.place, watchdog).map_err(unreachable)?);
    watchdog.may_interrupt(&socket);
    let socket = Shared(socket);
    #[cfg(feature = "tls")]
    if let (true, ConnectionAddr::Tcp(host, _)) = (address.tls, &address.place) {
        let config = tls::trusted()?;
        return Ok(Box::new(
            shake_hands(config, host.clone(), socket).map_err(unreachable)?,
        ));
    }
    Ok(Box::new(socket))
}

#[cfg(feature = "tls")]
fn shake_hands(
    config: Arc<ClientConfig>,
    host: String,
    socket: Shared,
) -> io::Result<StreamOwned<ClientConnection, Shared>> {
    let host = ServerName::try_from(host).map_err(io::Error::other)?;
    let client = ClientConnection::new(config, host).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(client, socket);
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(stream)
}

fn open(place: &ConnectionAddr, watchdog: &Watchdog) -> io::Result<Socket> {
    match place {
        ConnectionAddr::Tcp(host, port) => {
            let socket = connect_tcp(host, *port, watchdog)?;
            socket.set_nodelay(true)?;
            socket.set_read_timeout(Some(SILENCE))?;
            socket.set_write_timeout(Some(SILENCE))?;
            Ok(Socket::Tcp(socket))
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => {
            let socket = UnixStream::connect(path)?;
            socket.set_read_timeout(Some(SILENCE))?;
            socket.set_write_timeout(Some(SILENCE))?;
            Ok(Socket::Unix(socket))
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Tries the addresses of a host in turn.
fn connect_tcp(host: &str, port: u16, watchdog: &Watchdog) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the host has no address");
    for address in (host, port).to_socket_addrs()? {
        watchdog.arm_for(SILENCE * 2);
        match TcpStream::connect_timeout(&address, SILENCE) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}
