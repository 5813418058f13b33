use std::time::Duration;

use super::{EntryId, Header, Kind, MAGIC, PREFIX, ROW, Types, Unreadable, VERSION};
use crate::payload::codec::Codec;

/// One frame, as it stands in its container.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) header: Header,
    pub(super) codec: u8,
    pub(super) checksum: u32,
    pub(super) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The payload and its codec, once its checksum was found right.
    pub(crate) fn payload(&self) -> Result<(Codec, &'a [u8]), Unreadable> {
        if crc32fast::hash(self.payload) != self.checksum {
            return Err(Unreadable::Checksum);
        }
        let codec = Codec::from_byte(self.codec).ok_or(Unreadable::Codec(self.codec))?;
        Ok((codec, self.payload))
    }

    /// Reads a row, and takes the payload off the beginning of `payloads`.
    fn read(row: &mut &[u8], payloads: &mut &'a [u8]) -> Result<Self, Unreadable> {
        let [id, based_on] = [array(row)?, array(row)?].map(EntryId);
        let fingerprint = number(row)?;
        let [kind, codec, _, _] = array(row)?;
        let checksum = u32::from_le_bytes(array(row)?);
        let payload = number(row)?;
        let mut duration = || number(row).map(Duration::from_micros);
        let header = Header {
            kind: Kind::from_byte(kind),
            id,
            based_on,
            fingerprint,
            fresh_for: duration()?,
            keep_for: duration()?,
            age: duration()?,
            compute_time: duration()?,
            tags: number(row)?,
        };
        Ok(Self {
            header,
            codec,
            checksum,
            payload: take(payloads, payload)?,
        })
    }
}

/// An entry whose header was read and found right. Payloads are checked when they are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Container<'a> {
    /// Checked by the reader: two strings of one digest cost a miss, never a wrong value.
    pub(crate) characteristic: &'a str,
    pub(crate) newest: Frame<'a>,
    older: Option<Frame<'a>>,
}

/// A frame of another type that goes along behind a new one, and how old it is by then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Carried<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) age: Duration,
}

impl<'a> Container<'a> {
    /// Reads an entry, whatever the bytes are. Nothing is copied or allocated.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let frames = frames(bytes)?;
        let table = PREFIX + frames * ROW;
        let mut rest = bytes.get(table..).ok_or(Unreadable::Truncated)?;
        let characteristic = number(&mut rest)?;
        let characteristic = take(&mut rest, characteristic)?;
        let (header, _) = bytes.split_at(bytes.len() - rest.len());
        if array(&mut rest)? != crc32fast::hash(header).to_le_bytes() {
            return Err(Unreadable::Checksum);
        }
        let mut rows = &header[PREFIX..table];
        let newest = Frame::read(&mut rows, &mut rest)?;
        let older = match rows {
            [] => None,
            _ => Some(Frame::read(&mut rows, &mut rest)?),
        };
        if !rest.is_empty() {
            return Err(Unreadable::Overlong);
        }
        Ok(Self {
            characteristic: str::from_utf8(characteristic)
                .map_err(|_| Unreadable::Characteristic)?,
            newest,
            older,
        })
    }

    /// The value or error that a reader of these types takes.
    pub(crate) fn frame_of(&self, types: &Types) -> Option<&Frame<'a>> {
        self.frames().find(|Frame { header, .. }| {
            matches!(header.kind, Kind::Value | Kind::Error) && types.own(header)
        })
    }

    /// How old one of its frames is, by the clock of the store that says how much time is left to the container.
    pub(crate) fn age(&self, frame: &Frame<'_>, time_left: Duration) -> Duration {
        let lived = self.lives_for().saturating_sub(time_left);
        frame.header.age.saturating_add(lived)
    }

    /// The live value or error of other types than these, for whoever is about to replace the container. Of these
    /// there is to be only one: a new value does not carry an old error, nor a new error an old value.
    pub(crate) fn live_besides(&self, types: &Types, time_left: Duration) -> Option<Carried<'a>> {
        let mut others = self.frames().filter(|Frame { header, .. }| {
            !types.own(header) && !matches!(header.kind, Kind::Tombstone | Kind::Marker)
        });
        let carried = others.next().map(|&frame| Carried {
            frame,
            age: self.age(&frame, time_left),
        });
        carried.filter(|carried| carried.age < carried.frame.header.keep_for)
    }

    pub(super) fn frames(&self) -> impl Iterator<Item = &Frame<'a>> {
        [&self.newest].into_iter().chain(&self.older)
    }

    /// The time to live that it was put with.
    pub(super) fn lives_for(&self) -> Duration {
        let kept = self.frames().map(|frame| frame.header.kept());
        kept.max().unwrap_or_default()
    }
}

/// How many frames there are, if the bytes are an entry of this version at all.
fn frames(bytes: &[u8]) -> Result<usize, Unreadable> {
    if !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
        return Err(Unreadable::NotAnEntry);
    }
    match bytes.get(MAGIC.len()..) {
        Some([VERSION, frames @ 1..=2, ..]) => Ok((*frames).into()),
        Some([VERSION, frames, ..]) => Err(Unreadable::Frames(*frames)),
        None | Some([] | [VERSION]) => Err(Unreadable::Truncated),
        Some([other, ..]) => Err(Unreadable::Version(*other)),
    }
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], Unreadable> {
    let taken = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_off(..length));
    taken.ok_or(Unreadable::Truncated)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Unreadable> {
    let (array, after) = rest.split_first_chunk().ok_or(Unreadable::Truncated)?;
    *rest = after;
    Ok(*array)
}

fn number(rest: &mut &[u8]) -> Result<u64, Unreadable> {
    array(rest).map(u64::from_le_bytes)
}
