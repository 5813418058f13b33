use std::time::{Duration, Instant};

use bytes::Bytes;
#[cfg(feature = "tls")]
use redis::ConnectionAddr;
use redis::{Client, Cmd, Connection, ConnectionLike as _, Value};

use crate::backend::link::{Link, Protocol, Watchdog};
use crate::backend::tls;
use crate::store::{Fence, Look, Store, Stored};
use crate::{BoxFuture, Error, Key};

/// Values in Redis, over one connection: whatever is asked at the same time goes as one pipeline.
#[derive(Debug)]
pub struct Redis {
    link: Link<RedisProtocol>,
    prefix: String,
}

impl Redis {
    /// A store on this server, which is connected to when it is first needed. Keys are `prefix` and 32 hex
    /// digits.
    ///
    /// # Errors
    /// The URL is not one of a Redis server.
    pub fn new(url: &str, prefix: &str) -> Result<Self, Error> {
        let client = open(url, tls::BUILT_IN)?;
        let name = format!("redis at {}", client.get_connection_info().addr());
        Ok(Self {
            link: Link::new(RedisProtocol { client, name }),
            prefix: prefix.to_owned(),
        })
    }

    fn key(&self, key: &Key) -> String {
        key.hex_after(&self.prefix)
    }

    async fn stored(&self, ask: Ask, patiently: bool) -> Result<bool, Error> {
        Ok(matches!(
            self.link.answer(ask, patiently).await?,
            Value::Int(1) | Value::Okay
        ))
    }
}

pub(crate) fn open(url: &str, with_tls: bool) -> Result<Client, Error> {
    let scheme = url.split("://").next().unwrap_or_default();
    if !["redis", "rediss", "redis+unix", "unix"].contains(&scheme) || !url.contains("://") {
        return Err(Error::setting(format!(
            "the Redis URL begins with {scheme:?}: write redis://host:6379/0, rediss:// for TLS, or \
             unix:///path for a socket",
            scheme = scheme.chars().take(20).collect::<String>(),
        )));
    }
    if scheme == "rediss" && !with_tls {
        return Err(tls::missing(
            "Redis URL asks for TLS (rediss://)",
            "write redis:// for a connection without TLS",
        ));
    }
    Client::open(url).map_err(|error| {
        Error::setting("the Redis URL cannot be read: write redis://user:password@host:6379/0")
            .caused_by(error)
    })
}

impl Store for Redis {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(keys.len());
            for key in keys {
                let key = self.key(key);
                // The time first: what replaces the entry in between then looks too old, never too fresh.
                let left = if look.time_left {
                    let ask = Ask::TimeLeft { key: key.clone() };
                    Some(self.link.answer(ask, false).await?)
                } else {
                    None
                };
                let entry = self.link.answer(Ask::Get { key }, false).await?;
                found.push(stored(entry, left, look));
            }
            Ok(found)
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(self.stored(
            Ask::Put {
                key: self.key(key),
                entry,
                ttl,
                fence,
            },
            false,
        ))
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.stored(
                Ask::Replace {
                    key: self.key(key),
                    entry,
                    ttl,
                },
                false,
            )
            .await
            .map(drop)
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move { self.stored(Ask::Ping, true).await.map(drop) })
    }
}

fn stored(entry: Value, left: Option<Value>, look: Look) -> Option<Stored> {
    let Value::BulkString(entry) = entry else {
        return None;
    };
    let stored = Stored::new(entry.into(), look);
    match left {
        None => Some(stored),
        // It is there for ever, so it is not ours.
        Some(Value::Int(-1)) => Some(stored),
        Some(Value::Int(left)) => {
            // It came between the two: it is new.
            let left = u64::try_from(left).map_or(Duration::MAX, Duration::from_millis);
            Some(stored.with_time_left(left))
        }
        Some(_) => None,
    }
}

#[derive(Debug)]
enum Ask {
    Get {
        key: String,
    },
    TimeLeft {
        key: String,
    },
    Put {
        key: String,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    },
    Replace {
        key: String,
        entry: Bytes,
        ttl: Duration,
    },
    Ping,
}

/// Stores only over nothing, or over what the leader saw. What stands there already was stored by the same
/// put, whose answer was lost. Its arguments: what was seen, the entry, the time to live in milliseconds.
const FENCED_PUT: &str = "\
local stands = redis.call('GETRANGE', KEYS[1], 0, 23)
if stands == string.sub(ARGV[2], 1, 24) then return 1 end
if stands ~= '' and stands ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1";

impl Ask {
    fn command(&self) -> Cmd {
        match self {
            Self::Get { key } => command("GET", 1, key.len()).arg(key).take(),
            Self::TimeLeft { key } => command("PTTL", 1, key.len()).arg(key).take(),
            Self::Put {
                key,
                entry,
                ttl,
                fence,
            } if !fence.as_bytes().is_empty() => fenced_put(key, entry, *ttl, fence),
            // Nothing was seen, so nothing may stand there: no script is needed to say so.
            Self::Put {
                key, entry, ttl, ..
            } => command("SET", 5, key.len() + entry.len())
                .arg(key)
                .arg(&entry[..])
                .arg("NX")
                .arg("PX")
                .arg(milliseconds(*ttl))
                .take(),
            Self::Replace { key, entry, ttl } => redis::cmd("SET")
                .arg(key)
                .arg(&entry[..])
                .arg("PX")
                .arg(milliseconds(*ttl))
                .take(),
            Self::Ping => redis::cmd("PING").take(),
        }
    }

    /// What is to be asked after this answer. Where something stands, it may be this very entry.
    fn next(&self, answer: &Value) -> Option<Cmd> {
        match (self, answer) {
            (
                Self::Put {
                    key,
                    entry,
                    ttl,
                    fence,
                },
                Value::Nil,
            ) => Some(fenced_put(key, entry, *ttl, fence)),
            _ => None,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Put { entry, .. } | Self::Replace { entry, .. } => entry.len(),
            Self::Get { .. } | Self::TimeLeft { .. } | Self::Ping => 0,
        }
    }
}

/// A command with room for so many arguments of so many bytes.
fn command(name: &str, arguments: usize, bytes: usize) -> Cmd {
    // And for the name, two words and a number.
    let mut command = Cmd::with_capacity(1 + arguments, bytes + 32);
    command.arg(name).take()
}

fn fenced_put(key: &str, entry: &Bytes, ttl: Duration, fence: &Fence) -> Cmd {
    redis::cmd("EVAL")
        .arg(FENCED_PUT)
        .arg(1)
        .arg(key)
        .arg(fence.as_bytes())
        .arg(&entry[..])
        .arg(milliseconds(ttl))
        .take()
}

/// Redis knows whole milliseconds, and no zero.
fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

struct RedisProtocol {
    client: Client,
    name: String,
}

/// How long Redis may stay silent: no byte read, or none written.
const SILENCE: Duration = Duration::from_secs(2);
/// Nothing is asked of Redis for its own sake.
const IDLE: Duration = Duration::from_secs(3600);
/// A batch of this many bytes more may take a second longer.
const BYTES_PER_SECOND: usize = 8 << 20;

impl Protocol for RedisProtocol {
    type Connection = Connection;
    type Ask = Ask;
    type Answer = Value;

    /// By the time limits of its socket.
    const CALLER_MAY_SERVE: bool = true;

    fn name(&self) -> &str {
        &self.name
    }

    fn connect(&self, _pulse: &Watchdog) -> Result<Connection, Error> {
        #[cfg(feature = "tls")]
        if let ConnectionAddr::TcpTls { .. } = self.client.get_connection_info().addr() {
            tls::choose_provider();
        }
        let connect = || {
            let connection = self.client.get_connection_with_timeout(SILENCE)?;
            connection.set_read_timeout(Some(SILENCE))?;
            connection.set_write_timeout(Some(SILENCE))?;
            Ok(connection)
        };
        connect().map_err(|error: redis::RedisError| tls::unreachable(&self.name, error))
    }

    fn serve(
        &self,
        connection: &mut Connection,
        asks: &[Ask],
        watchdog: &Watchdog,
    ) -> Result<Vec<Result<Value, Error>>, Error> {
        let bytes: usize = asks.iter().map(Ask::len).sum();
        // The socket's own time limits come first; a long pipeline of large values is no reason to give up.
        watchdog.arm_for(SILENCE * 4 + Duration::from_secs((bytes / BYTES_PER_SECOND) as u64));
        let mut answers = self.send(connection, asks.iter().map(Ask::command))?;
        let next = |(at, ask): (usize, &Ask)| Some((at, ask.next(&answers[at])?));
        let (places, next): (Vec<_>, Vec<_>) = asks.iter().enumerate().filter_map(next).unzip();
        if !next.is_empty() {
            let next = self.send(connection, next.into_iter())?;
            places
                .into_iter()
                .zip(next)
                .for_each(|(at, answer)| answers[at] = answer);
        }
        Ok(answers
            .into_iter()
            .map(|answer| self.accepted(answer))
            .collect())
    }

    fn due(&self, _connection: &Connection) -> Instant {
        Instant::now() + IDLE
    }

    fn tick(&self, _connection: &mut Connection, _pulse: &Watchdog) -> Result<(), Error> {
        Ok(())
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(1)
    }
}

impl RedisProtocol {
    /// Sends commands as one pipeline, and returns the answer to each.
    fn send(
        &self,
        connection: &mut Connection,
        commands: impl ExactSizeIterator<Item = Cmd>,
    ) -> Result<Vec<Value>, Error> {
        let number = commands.len();
        let mut packed = Vec::with_capacity(64 * number);
        commands.for_each(|command| command.write_packed_command(&mut packed));
        connection
            .req_packed_commands(&packed, 0, number)
            .map_err(|error| Error::unavailable(format!("{} was lost", self.name)).caused_by(error))
    }

    fn accepted(&self, answer: Value) -> Result<Value, Error> {
        answer
            .extract_error()
            .map_err(|error| Error::unavailable(format!("{} refused", self.name)).caused_by(error))
    }
}
