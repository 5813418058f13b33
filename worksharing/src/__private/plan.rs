use std::time::Duration;

use crate::{Key, Work, WorkSharing};

/// A call of an annotated function, before the type of its value is known.
#[derive(Debug, Clone)]
#[must_use]
pub struct Plan {
    sharing: WorkSharing,
    characteristic: String,
    name: &'static str,
    ttl: Option<Duration>,
    version: Option<u32>,
    force_refresh: bool,
    cache_none: bool,
}

impl Plan {
    /// Work of the installed runtime.
    pub fn installed(characteristic: String, name: &'static str) -> Self {
        Self::of(WorkSharing::installed(), characteristic, name)
    }

    /// Work of this runtime. Whatever dereferences to one is coerced to it.
    pub fn via(sharing: &WorkSharing, characteristic: String, name: &'static str) -> Self {
        Self::of(sharing.clone(), characteristic, name)
    }

    fn of(sharing: WorkSharing, characteristic: String, name: &'static str) -> Self {
        Self {
            sharing,
            characteristic,
            name,
            ttl: None,
            version: None,
            force_refresh: false,
            cache_none: false,
        }
    }

    /// The option `ttl`, where it is not a closure.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The option `version`.
    pub fn version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// The option `force_refresh`.
    pub fn force_refresh(mut self, yes: bool) -> Self {
        self.force_refresh = yes;
        self
    }

    /// The option `cache_none`.
    pub fn cache_none(mut self) -> Self {
        self.cache_none = true;
        self
    }

    pub(crate) fn key(&self) -> Key {
        self.sharing
            .work::<()>(self.characteristic.as_str())
            .key()
            .clone()
    }

    pub(crate) fn work<T>(self) -> Work<T> {
        let mut work = self.sharing.work(self.characteristic).name(self.name);
        if let Some(ttl) = self.ttl {
            work = work.ttl(ttl);
        }
        if let Some(version) = self.version {
            work = work.version(version);
        }
        work.force_refresh(self.force_refresh)
            .cache_none(self.cache_none)
    }
}
