//! What is asked of a server, and how that is said.

use std::io;
use std::slice;
use std::time::Duration;

use bytes::Bytes;
use redis::RedisError;

use super::pace::Pace;
use super::role;
use super::wire::{Reply, Wire};
use crate::store::{Fence, Look, Seen, Stored};

pub(super) type Digest = [u8; 16];

pub(super) enum Ask {
    /// The first bytes of what stands under a key.
    Look(Digest, Look),
    /// The same of several.
    Looks(Box<[Digest]>, Look),
    /// More bytes of a large entry.
    Range {
        digest: Digest,
        from: usize,
        time_left: bool,
    },
    /// `None` as a fence is no fence.
    Put {
        digest: Digest,
        entry: Bytes,
        ttl: Duration,
        fence: Option<Fence>,
    },
    /// Keep what stands under these keys for at least so long.
    Keep(Box<[Digest]>, Duration),
    Delete(Digest),
    /// What the server says of itself.
    Info,
    /// What a node of a cluster knows of the others.
    #[cfg(feature = "cluster")]
    Nodes,
    /// The same, of a node that is about to be given the key's slot by another.
    #[cfg(feature = "cluster")]
    Asking(Box<Ask>),
}

pub(super) enum Answer {
    Piece(Option<Piece>),
    Pieces(Vec<Option<Piece>>),
    Range(Range),
    Stored(bool),
    Info(Bytes),
}

/// Bytes of an entry.
#[derive(Clone)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) time_left: Option<Duration>,
}

/// Bytes from the middle of an entry.
pub(super) struct Range {
    pub(super) piece: Option<Piece>,
    /// The length of the whole entry.
    pub(super) length: usize,
    /// Its first bytes, read last: if they are those that were seen, all was read of one entry.
    pub(super) head: Bytes,
}

/// For so long a server is taken for the primary that it was.
const ROLE_LASTS: Duration = Duration::from_secs(1);

/// So much of a value is read before it is known how much there is.
pub(super) const FIRST: usize = 256 * 1024;
/// So much more of it is read at once.
const RANGE: usize = 1 << 20;

/// Stores only over nothing, or over what the leader saw. What stands there already was stored by the same
/// put, whose answer was lost. Its arguments: what was seen, the entry, the time to live in milliseconds.
const FENCED_PUT: &str = "\
local stands = redis.call('GETRANGE', KEYS[1], 0, 23)
if stands == string.sub(ARGV[2], 1, 24) then return 1 end
if stands ~= '' and stands ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1";

/// Keeps what stands there for at least so many milliseconds, by commands that are used anyway: a user has the rights.
const KEEP: &str = "\
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left >= tonumber(ARGV[1]) then return 1 end
redis.call('SET', KEYS[1], redis.call('GETRANGE', KEYS[1], 0, -1), 'PX', ARGV[1])
return 1";

impl Ask {
    /// One that changes nothing, and asks for next to nothing.
    pub(super) fn nothing() -> Self {
        Self::Look(Digest::default(), Look::up_to(0))
    }

    /// Whether it may be sent again although it may have taken effect.
    pub(super) fn may_be_sent_again(&self) -> bool {
        match self {
            Self::Put { fence, .. } => fence.is_some(),
            #[cfg(feature = "cluster")]
            Self::Asking(ask) => ask.may_be_sent_again(),
            _ => true,
        }
    }

    /// The keys that are looked at.
    pub(super) fn looks(&self) -> (&[Digest], Look) {
        match self {
            Self::Look(digest, look) => (slice::from_ref(digest), *look),
            Self::Looks(digests, look) => (digests, *look),
            _ => (&[], Look::up_to(0)),
        }
    }
}

impl Piece {
    /// What stands there, if anything does. The time is as `PTTL` gives it: −1 where it is kept for ever, so it is no
    /// entry of ours; −2 where there was nothing yet, so it is new.
    fn found(time: Option<i64>, bytes: Bytes) -> Option<Self> {
        let left = |time| u64::try_from(time).map_or(Duration::MAX, Duration::from_millis);
        let time_left = time.filter(|time| *time != -1).map(left);
        (!bytes.is_empty()).then_some(Self { bytes, time_left })
    }

    /// Whether there may be more of an entry that is wanted whole.
    pub(super) fn goes_on(&self, look: Look) -> bool {
        self.bytes.len() >= FIRST && self.bytes.len() <= look.max_bytes
    }

    pub(super) fn stored(self, look: Look) -> Stored {
        let stored = Stored::new(self.bytes, look);
        match self.time_left {
            Some(time_left) => stored.with_time_left(time_left),
            None => stored,
        }
    }
}

/// A server's refusal, or else what it answered.
pub(super) type Answered<T> = Result<T, RedisError>;

/// What is said to a server and heard from it in one batch.
pub(super) struct Conversation<'a> {
    pub(super) wire: &'a mut Wire,
    pub(super) pace: Pace<'a>,
    pub(super) prefix: &'a str,
    /// Before each command ASKING is said.
    pub(super) asking: bool,
}

impl Conversation<'_> {
    pub(super) fn say_look(&mut self, digest: &Digest, look: Look) {
        if look.time_left {
            self.keyed("PTTL", 0, digest);
        }
        // One byte more than is wanted tells that there is more.
        let bytes = look.max_bytes.saturating_add(1).min(FIRST);
        self.get_range(digest, 0, bytes.max(Seen::LEN));
    }

    pub(super) fn hear_look(&mut self, look: Look) -> io::Result<Answered<Option<Piece>>> {
        let time = self.time(look.time_left)?;
        let bytes = self.reply()?;
        let found = || Ok(Piece::found(time?, bytes?.into_bytes()));
        Ok(found())
    }

    /// Says anything but a look.
    pub(super) fn say(&mut self, ask: &Ask) -> io::Result<()> {
        match ask {
            Ask::Look(..) | Ask::Looks(..) => (),
            Ask::Range {
                digest,
                from,
                time_left,
            } => {
                if *time_left {
                    self.keyed("PTTL", 0, digest);
                }
                self.keyed("STRLEN", 0, digest);
                self.get_range(digest, *from, *from + RANGE);
                self.get_range(digest, 0, Seen::LEN);
            }
            Ask::Put {
                digest,
                entry,
                ttl,
                fence,
            } => match fence {
                Some(fence) if !fence.as_bytes().is_empty() => {
                    self.fenced_put(digest, entry, *ttl, fence)?;
                }
                // Nothing was seen, so nothing may stand there: no script is needed to say so.
                Some(_) => self.set(digest, entry, *ttl, &[b"NX"])?,
                None => self.set(digest, entry, *ttl, &[])?,
            },
            Ask::Keep(digests, ttl) => digests.iter().for_each(|digest| self.keep(digest, *ttl)),
            Ask::Delete(digest) => self.keyed("DEL", 0, digest),
            Ask::Info => self.command("INFO", 0),
            #[cfg(feature = "cluster")]
            Ask::Nodes => {
                self.command("CLUSTER", 1);
                self.wire.small(b"NODES");
            }
            #[cfg(feature = "cluster")]
            Ask::Asking(ask) => return self.while_asking(|this| this.say_any(ask)),
        }
        Ok(())
    }

    /// The answer to anything but a look. `None` is to a put that found something there. That may be this very
    /// entry, so it is to be said again, with its fence.
    pub(super) fn hear(&mut self, ask: &Ask) -> io::Result<Answered<Option<Answer>>> {
        #[cfg(feature = "cluster")]
        if let Ask::Asking(ask) = ask {
            return self.while_asking(|this| this.hear_any(ask));
        }
        if let Ask::Range { time_left, .. } = ask {
            return Ok(self
                .range(*time_left)?
                .map(|range| Some(Answer::Range(range))));
        }
        if let Ask::Keep(digests, _) = ask {
            let replies: Vec<_> = digests
                .iter()
                .map(|_| self.reply())
                .collect::<io::Result<_>>()?;
            let kept = replies.into_iter().collect::<Answered<Vec<_>>>();
            return Ok(kept.map(|_| Some(Answer::Stored(true))));
        }
        Ok(self.reply()?.map(|reply| match (ask, reply) {
            (Ask::Info, reply) => Some(Answer::Info(reply.into_bytes())),
            #[cfg(feature = "cluster")]
            (Ask::Nodes, reply) => Some(Answer::Info(reply.into_bytes())),
            (_, Reply::Nil) => None,
            (_, reply) => Some(Answer::Stored(matches!(
                reply,
                Reply::Done | Reply::Number(1)
            ))),
        }))
    }

    fn range(&mut self, time_left: bool) -> io::Result<Answered<Range>> {
        let time = self.time(time_left)?;
        let [length, bytes, head] = [self.reply()?, self.reply()?, self.reply()?];
        let range = || {
            Ok(Range {
                piece: Piece::found(time?, bytes?.into_bytes()),
                length: usize::try_from(length?.number()).unwrap_or(0),
                head: head?.into_bytes(),
            })
        };
        Ok(range())
    }

    fn time(&mut self, was_asked: bool) -> io::Result<Answered<Option<i64>>> {
        if !was_asked {
            return Ok(Ok(None));
        }
        Ok(self.reply()?.map(|reply| Some(reply.number())))
    }

    fn set(
        &mut self,
        digest: &Digest,
        entry: &[u8],
        ttl: Duration,
        only: &[&[u8]],
    ) -> io::Result<()> {
        self.keyed("SET", 3 + only.len(), digest);
        self.wire.argument(entry, &mut self.pace)?;
        only.iter().for_each(|word| self.wire.small(word));
        self.wire.small(b"PX");
        self.wire.number(milliseconds(ttl));
        Ok(())
    }

    /// Says a put with its fence.
    pub(super) fn say_again(&mut self, ask: &Ask) -> io::Result<()> {
        match ask {
            Ask::Put {
                digest,
                entry,
                ttl,
                fence: Some(fence),
            } => self.fenced_put(digest, entry, *ttl, fence),
            #[cfg(feature = "cluster")]
            Ask::Asking(ask) => self.while_asking(|this| this.say_again(ask)),
            // Nothing else is answered by nothing.
            ask => self.say(ask),
        }
    }

    fn fenced_put(
        &mut self,
        digest: &Digest,
        entry: &[u8],
        ttl: Duration,
        fence: &Fence,
    ) -> io::Result<()> {
        self.command("EVAL", 6);
        self.wire.small(FENCED_PUT.as_bytes());
        self.wire.number(1);
        self.wire.hex_after(self.prefix.as_bytes(), digest);
        self.wire.small(fence.as_bytes());
        self.wire.argument(entry, &mut self.pace)?;
        self.wire.number(milliseconds(ttl));
        Ok(())
    }

    fn keep(&mut self, digest: &Digest, ttl: Duration) {
        self.command("EVAL", 4);
        self.wire.small(KEEP.as_bytes());
        self.wire.number(1);
        self.wire.hex_after(self.prefix.as_bytes(), digest);
        self.wire.number(milliseconds(ttl));
    }

    fn get_range(&mut self, digest: &Digest, from: usize, to: usize) {
        self.keyed("GETRANGE", 2, digest);
        self.wire.number(from as u64);
        self.wire.number(to as u64 - 1);
    }

    /// Begins a command of a key and so many arguments more.
    fn keyed(&mut self, name: &str, arguments: usize, digest: &Digest) {
        self.command(name, 1 + arguments);
        self.wire.hex_after(self.prefix.as_bytes(), digest);
    }

    fn command(&mut self, name: &str, arguments: usize) {
        if self.asking {
            self.wire.command("ASKING", 0);
        }
        self.wire.command(name, arguments);
    }

    fn reply(&mut self) -> io::Result<Answered<Reply>> {
        if self.asking {
            // Whether it was understood is told by what comes next.
            drop(self.wire.reply(&mut self.pace)?);
        }
        self.wire.reply(&mut self.pace)
    }

    /// Asks first, once in a second, whether the server is still a primary.
    pub(super) fn say_role(&mut self) -> bool {
        let asked = self.wire.role_asked;
        let is_due = asked.is_some_and(|asked| asked.elapsed() >= ROLE_LASTS);
        if is_due {
            role::ask(self.wire);
        }
        is_due
    }

    /// What was read after that of a server that is none is not used.
    pub(super) fn hear_role(&mut self, was_asked: bool) -> io::Result<()> {
        if was_asked {
            role::hear(self.wire, &mut self.pace)?;
        }
        Ok(())
    }

    pub(super) fn send(&mut self) -> io::Result<()> {
        self.wire.send(&mut self.pace)
    }
}

/// Of a cluster.
#[cfg(feature = "cluster")]
impl Conversation<'_> {
    fn while_asking<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> T {
        self.asking = true;
        let done = run(self);
        self.asking = false;
        done
    }

    fn say_any(&mut self, ask: &Ask) -> io::Result<()> {
        if let Ask::Look(digest, look) = ask {
            self.say_look(digest, *look);
        }
        self.say(ask)
    }

    fn hear_any(&mut self, ask: &Ask) -> io::Result<Answered<Option<Answer>>> {
        match ask {
            Ask::Look(_, look) => Ok(self
                .hear_look(*look)?
                .map(|piece| Some(Answer::Piece(piece)))),
            ask => self.hear(ask),
        }
    }
}

/// Redis knows whole milliseconds, no zero, and no more than its clock can count.
fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis())
        .unwrap_or(u64::MAX)
        .clamp(1, 1 << 52)
}
