use std::time::Duration;

use bytes::{Buf as _, Bytes};

use super::{CHECKSUM, Carried, Header, LENGTH, MAGIC, PREFIX, ROW, VERSION};
use crate::payload::codec::{Encoded, Room};

/// An entry that is about to be written, into one buffer: the codec encodes the payload into the
/// [`room`](Self::room) that is left for it, and [`finish`](Self::finish) writes the rest around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft<'a> {
    header: Header,
    characteristic: &'a str,
    carried: Option<Carried<'a>>,
    max_bytes: usize,
}

/// The bytes of an entry, and how long a store is to keep them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Written {
    pub(crate) bytes: Bytes,
    pub(crate) lives_for: Duration,
}

impl<'a> Draft<'a> {
    /// An entry of at most `max_bytes` in all. What is carried is left out where it does not fit beside the new
    /// frame.
    pub(crate) fn new(
        header: Header,
        characteristic: &'a str,
        carried: Option<Carried<'a>>,
        max_bytes: usize,
    ) -> Self {
        Self {
            header,
            characteristic,
            carried,
            max_bytes,
        }
    }

    /// Where the payload is to be encoded. The limit is for the new frame alone: an old one goes before it does.
    pub(crate) fn room(&self) -> Room {
        let alone = Self {
            carried: None,
            ..*self
        };
        Room {
            before: self.before(),
            behind: self.behind(),
            limit: self.max_bytes.saturating_sub(alone.before()),
        }
    }

    /// The entry with this payload, which was encoded into the [`room`](Self::room).
    pub(crate) fn finish(self, payload: Encoded) -> Written {
        let Encoded { codec, bytes } = payload;
        self.around(codec as u8, bytes)
    }

    /// The entry of what has no payload, whatever its size.
    pub(crate) fn without_payload(self) -> Written {
        self.around(0, vec![0; self.before()])
    }

    fn around(mut self, codec: u8, mut bytes: Vec<u8>) -> Written {
        let payload = self.before();
        let fits = self.max_bytes.checked_sub(bytes.len()) >= Some(self.behind());
        self.carried = self.carried.filter(|_| fits);
        let unused = payload - self.before();
        self.write_before(unused, payload, codec, &mut bytes);
        bytes.extend_from_slice(self.carried.map_or(&[], |carried| carried.frame.payload));
        // Stores in memory keep the buffer as it is.
        if bytes.capacity() - bytes.len() > bytes.len() / 4 {
            bytes.shrink_to_fit();
        }
        let mut bytes = Bytes::from(bytes);
        bytes.advance(unused);
        let carried = self.carried.map(|carried| carried.header().kept());
        Written {
            bytes,
            lives_for: self.header.kept().max(carried.unwrap_or_default()),
        }
    }

    /// How many bytes stand before the payload.
    fn before(&self) -> usize {
        let frames = 1 + usize::from(self.carried.is_some());
        PREFIX + frames * ROW + LENGTH + self.characteristic.len() + CHECKSUM
    }

    /// How many bytes stand behind it.
    fn behind(&self) -> usize {
        self.carried
            .map_or(0, |carried| carried.frame.payload.len())
    }

    fn write_before(&self, from: usize, payload: usize, codec: u8, bytes: &mut [u8]) {
        let (before, payload) = bytes.split_at_mut(payload);
        let before = &mut before[from..];
        let (checked, checksum) = before.split_at_mut(before.len() - CHECKSUM);
        let frames = 1 + u8::from(self.carried.is_some());
        let mut cursor = Cursor(checked);
        cursor.put(&MAGIC);
        cursor.put(&[VERSION, frames, 0, 0]);
        cursor.row(&self.header, codec, crc32fast::hash(payload), payload.len());
        if let Some(carried) = &self.carried {
            let frame = &carried.frame;
            cursor.row(
                &carried.header(),
                frame.codec,
                frame.checksum,
                frame.payload.len(),
            );
        }
        cursor.number(self.characteristic.len() as u64);
        cursor.put(self.characteristic.as_bytes());
        checksum.copy_from_slice(&crc32fast::hash(checked).to_le_bytes());
    }
}

impl Carried<'_> {
    fn header(&self) -> Header {
        Header {
            age: self.age,
            ..self.frame.header
        }
    }
}

/// Writes what stands before the payload, from its beginning to its end.
struct Cursor<'b>(&'b mut [u8]);

impl Cursor<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let (here, after) = std::mem::take(&mut self.0).split_at_mut(bytes.len());
        here.copy_from_slice(bytes);
        self.0 = after;
    }

    fn number(&mut self, number: u64) {
        self.put(&number.to_le_bytes());
    }

    fn row(&mut self, header: &Header, codec: u8, checksum: u32, payload: usize) {
        self.put(&header.id.0);
        self.put(&header.based_on.0);
        self.number(header.fingerprint);
        self.put(&[header.kind.byte(), codec, 0, 0]);
        self.put(&checksum.to_le_bytes());
        self.number(payload as u64);
        for duration in [
            header.fresh_for,
            header.keep_for,
            header.age,
            header.compute_time,
        ] {
            self.number(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        }
        self.number(header.tags);
    }
}
