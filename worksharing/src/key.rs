use std::fmt;
use std::sync::Arc;

use md5::{Digest as _, Md5};

/// The identity of one piece of work: its characteristic string and everything derived from it.
///
/// The derivation is frozen, and is the gist's own arithmetic: a Django process that runs the gist
/// and a Rust process exclude each other on the same characteristic string.
///
/// ```
/// use worksharing::Key;
///
/// let key = Key::new("report:2024:DE");
/// assert_eq!(key.hex(), "2a71cb735fcec978fc07a6d5693afdea");
/// assert_eq!(key.lock_key(), -3744841129611559446);
/// assert_eq!(key.interest_key(), -2591919625004712470);
/// ```
///
/// Source: the gist "cache work-sharing using PostgreSQL advisory locks" (Django).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    characteristic: Arc<str>,
    digest: [u8; 16],
}

impl Key {
    /// The key of a characteristic string (of its UTF-8 bytes), namespace included.
    pub fn new(characteristic: impl Into<Arc<str>>) -> Self {
        let characteristic = characteristic.into();
        let digest = Md5::digest(characteristic.as_bytes()).into();
        Self {
            characteristic,
            digest,
        }
    }

    /// The characteristic string.
    pub fn characteristic(&self) -> &str {
        &self.characteristic
    }

    pub(crate) fn shared_characteristic(&self) -> Arc<str> {
        Arc::clone(&self.characteristic)
    }

    /// The md5 of the characteristic string: 16 bytes.
    pub fn digest(&self) -> &[u8; 16] {
        &self.digest
    }

    /// The cache key without its prefix: the digest as 32 lowercase hex digits.
    pub fn hex(&self) -> String {
        self.hex_after("")
    }

    /// The same behind a prefix.
    pub(crate) fn hex_after(&self, prefix: &str) -> String {
        let mut hex = String::with_capacity(prefix.len() + 32);
        hex.push_str(prefix);
        push_hex(&mut hex, &self.digest);
        hex
    }

    /// The advisory lock of this work: `0xc << 60 | the low 60 bits of the digest`, as i64.
    pub fn lock_key(&self) -> i64 {
        self.tagged(0xc)
    }

    /// The advisory lock by which waiters show their interest: the same with `0xd`.
    pub fn interest_key(&self) -> i64 {
        self.tagged(0xd)
    }

    fn tagged(&self, tag: u64) -> i64 {
        let low = u128::from_be_bytes(self.digest) as u64 & (u64::MAX >> 4);
        (tag << 60 | low).cast_signed()
    }
}

/// Writes a digest as 32 lowercase hex digits.
pub(crate) fn push_hex(text: &mut String, digest: &[u8; 16]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in digest {
        text.push(DIGITS[usize::from(byte >> 4)].into());
        text.push(DIGITS[usize::from(byte & 0xf)].into());
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.characteristic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        characteristic: String,
        cache_key: String,
        lock_key: i64,
        interest_key: i64,
    }

    #[test]
    fn derivation_is_frozen() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../tests/data/key-vectors.json")).unwrap();
        assert!(vectors.len() >= 9);
        for v in vectors {
            let key = Key::new(v.characteristic);
            assert_eq!(key.hex(), v.cache_key, "{key:?}");
            assert_eq!(key.lock_key(), v.lock_key, "{key:?}");
            assert_eq!(key.interest_key(), v.interest_key, "{key:?}");
        }
    }
}
