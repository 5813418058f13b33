use std::io;

use bincode::enc::write::Writer;
use bincode::error::EncodeError;

use super::Room;

/// Where both codecs write: a vector that refuses to pass its limit, and remembers that it did.
pub(super) struct Sink {
    pub(super) bytes: Vec<u8>,
    end: usize,
    pub(super) full: bool,
}

impl Sink {
    /// With space for what is likely: a value of small numbers and short strings fits without growing.
    pub(super) fn new(room: Room, least_bytes: usize) -> Self {
        let Room {
            before,
            behind,
            limit,
        } = room;
        let likely = (least_bytes + least_bytes / 8 + 128).min(limit);
        let mut bytes = Vec::with_capacity(before + likely + behind);
        bytes.resize(before, 0);
        Self {
            bytes,
            end: before.saturating_add(limit),
            full: false,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> bool {
        self.full |= bytes.len() > self.end - self.bytes.len();
        if !self.full {
            self.bytes.extend_from_slice(bytes);
        }
        !self.full
    }
}

impl Writer for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if self.push(bytes) {
            Ok(())
        } else {
            Err(EncodeError::UnexpectedEnd)
        }
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.push(bytes) {
            Ok(bytes.len())
        } else {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
