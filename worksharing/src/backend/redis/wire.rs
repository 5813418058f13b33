//! The protocol of Redis (RESP2), straight to and from the socket. Nothing here knows what it is used for.

use std::io;
use std::time::Instant;

use bytes::Bytes;
use redis::{Cmd, RedisError, Value};

use super::pace::Pace;
use super::socket::Transport;

/// A connection with a server: commands are collected, sent together, and answered in their order.
pub(super) struct Wire {
    transport: Box<dyn Transport>,
    out: Vec<u8>,
    /// What was read and is not used yet is between `start` and `end`.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// When it was last made sure that the server is a primary; `None`: it does not tell.
    pub(super) role_asked: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum Reply {
    Nil,
    Done,
    Number(i64),
    Bytes(Bytes),
}

impl Reply {
    pub(super) fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            _ => 0,
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => Bytes::new(),
        }
    }
}

const BUFFER: usize = 16 * 1024;
/// An argument above this is not copied before it is sent.
const LARGE: usize = 64 * 1024;
/// A reply above this is none that was asked for.
const MAX_REPLY: usize = 4 << 20;

impl Wire {
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        Self {
            transport,
            out: Vec::new(),
            buffer: vec![0; BUFFER].into(),
            start: 0,
            end: 0,
            role_asked: None,
        }
    }

    /// Begins a command of so many arguments.
    pub(super) fn command(&mut self, name: &str, arguments: usize) {
        self.head(b'*', arguments as u64 + 1);
        self.small(name.as_bytes());
    }

    /// A whole command of another making.
    pub(super) fn whole_command(&mut self, command: &Cmd) {
        command.write_packed_command(&mut self.out);
    }

    /// A short argument.
    pub(super) fn small(&mut self, argument: &[u8]) {
        self.head(b'$', argument.len() as u64);
        self.out.extend_from_slice(argument);
        self.out.extend_from_slice(b"\r\n");
    }

    /// An argument of any size.
    pub(super) fn argument(&mut self, argument: &[u8], pace: &mut Pace<'_>) -> io::Result<()> {
        if argument.len() <= LARGE {
            self.small(argument);
            return Ok(());
        }
        self.head(b'$', argument.len() as u64);
        self.send(pace)?;
        self.write(argument, pace)?;
        self.out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// An argument that is this prefix and these bytes in hex digits.
    pub(super) fn hex_after(&mut self, prefix: &[u8], bytes: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.head(b'$', (prefix.len() + 2 * bytes.len()) as u64);
        self.out.extend_from_slice(prefix);
        for byte in bytes {
            self.out.push(DIGITS[usize::from(byte >> 4)]);
            self.out.push(DIGITS[usize::from(byte & 0xf)]);
        }
        self.out.extend_from_slice(b"\r\n");
    }

    pub(super) fn number(&mut self, number: u64) {
        let mut digits = itoa::Buffer::new();
        self.small(digits.format(number).as_bytes());
    }

    fn head(&mut self, sign: u8, number: u64) {
        self.out.push(sign);
        let mut digits = itoa::Buffer::new();
        self.out.extend_from_slice(digits.format(number).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// Sends what was collected.
    pub(super) fn send(&mut self, pace: &mut Pace<'_>) -> io::Result<()> {
        let mut out = std::mem::take(&mut self.out);
        let sent = self.write(&out, pace);
        out.clear();
        if out.capacity() <= LARGE {
            self.out = out;
        }
        sent
    }

    fn write(&mut self, mut bytes: &[u8], pace: &mut Pace<'_>) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = unless_interrupted(|| self.transport.write(bytes))?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            pace.moved(written)?;
            bytes = &bytes[written..];
        }
        self.transport.flush()
    }

    /// The next reply, or the server's refusal.
    pub(super) fn reply(&mut self, pace: &mut Pace<'_>) -> io::Result<Result<Reply, RedisError>> {
        let line = self.line(pace)?;
        let [sign, rest @ .., _, _] = line else {
            return Err(nonsense());
        };
        Ok(Ok(match sign {
            b'+' => Reply::Done,
            b'-' => return refused(line).map(Err),
            b':' => Reply::Number(parse(rest)?),
            b'$' => match usize::try_from(parse(rest)?) {
                Err(_) => Reply::Nil,
                Ok(length) if length <= MAX_REPLY => Reply::Bytes(self.bytes(length, pace)?),
                Ok(_) => return Err(nonsense()),
            },
            _ => return Err(nonsense()),
        }))
    }

    /// The next reply, which is a list of texts; `None`: there is none.
    #[cfg(feature = "sentinel")]
    pub(super) fn texts(
        &mut self,
        pace: &mut Pace<'_>,
    ) -> io::Result<Result<Option<Vec<String>>, RedisError>> {
        const MOST: i64 = 16;
        let length = match self.line(pace)? {
            [b'*', length @ .., _, _] => parse(length)?,
            line if line.starts_with(b"-") => return refused(line).map(Err),
            _ => return Err(nonsense()),
        };
        if length > MOST {
            return Err(nonsense());
        }
        let mut texts = Vec::new();
        for _ in 0..length {
            let text = self.reply(pace)?.map_err(io::Error::other)?.into_bytes();
            texts.push(String::from_utf8(text.into()).map_err(|_| nonsense())?);
        }
        Ok(Ok((length >= 0).then_some(texts)))
    }

    /// The next line, with its end.
    fn line(&mut self, pace: &mut Pace<'_>) -> io::Result<&[u8]> {
        let mut looked_at = 0;
        let length = loop {
            let buffered = &self.buffer[self.start..self.end];
            let found = buffered[looked_at..]
                .windows(2)
                .position(|two| two == b"\r\n");
            if let Some(at) = found {
                break looked_at + at + 2;
            }
            looked_at = buffered.len().saturating_sub(1);
            self.fill(pace)?;
        };
        let start = self.start;
        self.start += length;
        Ok(&self.buffer[start..self.start])
    }

    fn bytes(&mut self, length: usize, pace: &mut Pace<'_>) -> io::Result<Bytes> {
        let buffered = (self.end - self.start).min(length);
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(&self.buffer[self.start..self.start + buffered]);
        self.start += buffered;
        bytes.resize(length, 0);
        let mut rest = &mut bytes[buffered..];
        while !rest.is_empty() {
            let read = self.read(pace, |transport, _| transport.read(rest))?;
            rest = &mut rest[read..];
        }
        while self.end - self.start < 2 {
            self.fill(pace)?;
        }
        self.start += 2;
        Ok(bytes.into())
    }

    /// Reads more into the buffer.
    fn fill(&mut self, pace: &mut Pace<'_>) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            return Err(nonsense());
        }
        let end = self.end;
        self.end += self.read(pace, |transport, buffer| transport.read(&mut buffer[end..]))?;
        Ok(())
    }

    fn read(
        &mut self,
        pace: &mut Pace<'_>,
        mut read: impl FnMut(&mut dyn Transport, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let read = unless_interrupted(|| read(&mut *self.transport, &mut self.buffer))?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        pace.moved(read)?;
        Ok(read)
    }
}

/// A signal is no reason to give up.
fn unless_interrupted<T>(mut run: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match run() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            // How a socket says that its time limit is over.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
            }
            done => return done,
        }
    }
}

fn parse(number: &[u8]) -> io::Result<i64> {
    let text = str::from_utf8(number).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(nonsense)
}

fn refused(line: &[u8]) -> io::Result<RedisError> {
    let value = redis::parse_redis_value(line).and_then(Value::extract_error);
    value.err().ok_or_else(nonsense)
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not how Redis answers")
}

#[cfg(test)]
mod tests;
