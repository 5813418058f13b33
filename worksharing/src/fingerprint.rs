use serde::de::DeserializeOwned;

/// What is known of a type by its `Deserialize`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fingerprint {
    /// Another structure has another hash, and so has another `version`.
    pub(crate) hash: u64,
    /// Whether values of the type must go by a self-describing codec.
    pub(crate) self_describing: bool,
}

/// The fingerprint of a type as serde sees it.
pub(crate) fn fingerprint<T: DeserializeOwned>(version: u32) -> Fingerprint {
    let name = std::any::type_name::<T>();
    let hash = name.bytes().fold(u64::from(version), |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    Fingerprint {
        hash,
        self_describing: false,
    }
}
