use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);

/// What tells a frame from every other that ever stood under any key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct EntryId(pub(super) [u8; 16]);

impl EntryId {
    /// Of nothing.
    pub(crate) const NONE: Self = Self([0; 16]);

    /// A new id: two keyed hashes of a counter, their keys random in each process. The process id is
    /// hashed too, because a fork inherits both the keys and the counter.
    pub(crate) fn random() -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let seed = (std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let [high, low] = [&KEYS[0], &KEYS[1]].map(|keys| keys.hash_one(seed));
        Self((u128::from(high) << 64 | u128::from(low)).to_le_bytes())
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// As 32 hex digits.
    #[cfg(feature = "postgres")]
    pub(crate) fn hex(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// A number that is as random as the id.
    #[cfg(feature = "postgres")]
    pub(crate) fn number(&self) -> i64 {
        (u128::from_be_bytes(self.0) as u64).cast_signed()
    }

    /// A number in (0, 1], evenly spread over all ids; another one in each process.
    pub(crate) fn draw(&self) -> f64 {
        // So many bits as a float holds exactly.
        let bits = KEYS[0].hash_one((std::process::id(), self.0)) >> 11;
        (bits + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Of the entry that begins with these bytes; of nothing, if there are not enough.
    pub(crate) fn seen(beginning: &[u8]) -> Self {
        let id = beginning.get(8..24).and_then(|id| id.try_into().ok());
        id.map_or(Self::NONE, Self)
    }
}
