use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::postgres::Socket;
use ::postgres::config::{SslMode, SslNegotiation};
use ::postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::Stop;

/// What the client takes for TLS.
pub(super) struct Connector<T> {
    pub(super) tls: T,
    pub(super) mode: SslMode,
    pub(super) negotiation: SslNegotiation,
    pub(super) stop: Arc<Stop>,
}

impl<T> MakeTlsConnect<Socket> for Connector<T>
where
    T: MakeTlsConnect<Socket>,
    T::TlsConnect: Send + 'static,
    T::Stream: Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    type Stream = Stream<T::Stream>;
    type TlsConnect = Connector<T::TlsConnect>;
    type Error = T::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, T::Error> {
        Ok(Connector {
            tls: self.tls.make_tls_connect(host)?,
            mode: self.mode,
            negotiation: self.negotiation,
            stop: Arc::clone(&self.stop),
        })
    }
}

type Negotiated<T> = Result<T, Box<dyn StdError + Send + Sync>>;

impl<C> TlsConnect<Socket> for Connector<C>
where
    C: TlsConnect<Socket> + Send + 'static,
    C::Stream: Send + 'static,
    C::Future: Send,
{
    type Stream = Stream<C::Stream>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Negotiated<Self::Stream>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        let stop = Arc::clone(&self.stop);
        let mut negotiated = Box::pin(self.negotiate(socket));
        Box::pin(poll_fn(move |context| {
            stop.poll(context, |context| negotiated.as_mut().poll(context))
        }))
    }
}

impl<C: TlsConnect<Socket>> Connector<C> {
    async fn negotiate(self, mut socket: Socket) -> Negotiated<Stream<C::Stream>> {
        let stop = self.stop;
        let plain = |socket| Stream {
            channel: Channel::Plain(socket),
            stop: Arc::clone(&stop),
        };
        if self.mode == SslMode::Disable {
            return Ok(plain(socket));
        }
        if self.negotiation == SslNegotiation::Postgres {
            socket.write_all(&SSL_REQUEST).await?;
            match (socket.read_u8().await?, self.mode) {
                (b'S', _) => (),
                (_, SslMode::Require) => return Err("server does not support TLS".into()),
                _ => return Ok(plain(socket)),
            }
        }
        let channel = Channel::Tls(self.tls.connect(socket).await.map_err(Into::into)?);
        Ok(Stream { channel, stop })
    }
}

/// Asks whether the server speaks TLS. It answers with one letter.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// What the client speaks through.
pub(super) struct Stream<T> {
    channel: Channel<T>,
    stop: Arc<Stop>,
}

enum Channel<T> {
    Plain(Socket),
    Tls(T),
}

pub(super) trait ReadWrite: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> ReadWrite for S {}

impl<T: ReadWrite> Stream<T> {
    fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut dyn ReadWrite>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        let channel: &mut dyn ReadWrite = match &mut self.channel {
            Channel::Plain(socket) => socket,
            Channel::Tls(stream) => stream,
        };
        self.stop
            .poll(context, |context| poll(Pin::new(channel), context))
    }
}

impl<T: TlsStream + Unpin> TlsStream for Stream<T> {
    fn channel_binding(&self) -> ChannelBinding {
        match &self.channel {
            Channel::Plain(_) => ChannelBinding::none(),
            Channel::Tls(stream) => stream.channel_binding(),
        }
    }
}

impl<T: ReadWrite> AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(context, |channel, context| {
            channel.poll_read(context, buffer)
        })
    }
}

impl<T: ReadWrite> AsyncWrite for Stream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(context, |channel, context| {
            channel.poll_write(context, bytes)
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(context, |channel, context| channel.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(context, |channel, context| channel.poll_shutdown(context))
    }
}
