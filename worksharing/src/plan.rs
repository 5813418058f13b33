use std::sync::Arc;
use std::time::Duration;

use crate::flow::{Call, Options};
use crate::{Key, WorkSharing};

/// A call of an annotated function, before the type of its value is known.
#[derive(Debug, Clone)]
#[must_use]
pub struct Plan {
    sharing: WorkSharing,
    key: Key,
    name: &'static str,
    options: Options,
}

impl Plan {
    /// Work of the installed runtime.
    pub fn installed(characteristic: String, name: &'static str) -> Self {
        Self::of(WorkSharing::installed(), &characteristic, name)
    }

    /// Work of this runtime. Whatever dereferences to one is coerced to it.
    pub fn via(sharing: &WorkSharing, characteristic: String, name: &'static str) -> Self {
        Self::of(sharing.clone(), &characteristic, name)
    }

    fn of(sharing: WorkSharing, characteristic: &str, name: &'static str) -> Self {
        Self {
            key: sharing.runtime().key(characteristic),
            sharing,
            name,
            options: Options::default(),
        }
    }

    /// The option `ttl`, where it is not a closure.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }

    /// The option `version`.
    pub fn version(mut self, version: u32) -> Self {
        self.options.version = version;
        self
    }

    /// The option `force_refresh`.
    pub fn force_refresh(mut self, yes: bool) -> Self {
        self.options.force_refresh = yes;
        self
    }

    /// The option `cache_none`.
    pub fn cache_none(mut self) -> Self {
        self.options.cache_none = true;
        self
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn call(&self) -> Call {
        let runtime = Arc::clone(self.sharing.runtime());
        Call::new(runtime, self.key.clone(), self.name, self.options)
    }
}
