use std::fmt::{self, Write as _};

/// What tells a call from those of the same key with other tags, by the tags' texts in the order in which they are written:
/// nothing is allocated for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Salt(u64);

impl Salt {
    pub(crate) const NONE: Self = Self(0);

    /// Adds a text. FNV-1a, which takes it in any pieces.
    pub(crate) fn add(&mut self, text: fmt::Arguments<'_>) {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        self.0 ^= OFFSET;
        // A `Display` that fails has written what it has.
        let _ = self.write_fmt(text);
        // No part of a text.
        self.add_byte(0xff);
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    fn add_byte(&mut self, byte: u8) {
        const PRIME: u64 = 0x0100_0000_01b3;
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(PRIME);
    }
}

impl fmt::Write for Salt {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.add_byte(byte));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Salt {
        let mut salt = Salt::NONE;
        texts
            .iter()
            .for_each(|text| salt.add(format_args!("{text}")));
        salt
    }

    #[test]
    fn texts_count_however_they_are_cut() {
        let salts = [
            of(&[]),
            of(&[""]),
            of(&["user:7"]),
            of(&["user:", "7"]),
            of(&["user:7", ""]),
            of(&["7", "user:"]),
        ];
        for (place, salt) in salts.iter().enumerate() {
            assert!(!salts[..place].contains(salt), "{place}");
        }
        let mut cut = Salt::NONE;
        cut.add(format_args!("{}:{}", "user", 7));
        assert_eq!(cut, of(&["user:7"]));
    }
}
