//! What is stored: the bytes of an entry, its payload's codec, and the fingerprint of its type.

pub(crate) mod codec;
pub(crate) mod entry;
pub(crate) mod fingerprint;
