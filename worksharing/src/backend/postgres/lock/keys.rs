use crate::Key;

/// Which of this process's sessions, one after another, something was done in. The first is 1.
pub(crate) type SessionNumber = u64;

/// A lock key with its interest key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LockKeys {
    pub(crate) lock: i64,
    pub(crate) interest: i64,
}

impl From<&Key> for LockKeys {
    fn from(key: &Key) -> Self {
        Self {
            lock: key.lock_key(),
            interest: key.interest_key(),
        }
    }
}

/// A lock key that somebody asks for, with the random number by which its lease is told from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) lock: i64,
    pub(crate) nonce: i64,
}

/// A lock that is held, and the session that took it: another session that holds the same key meanwhile keeps it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) asked: Asked,
    pub(crate) interest: i64,
    pub(crate) session: SessionNumber,
}
