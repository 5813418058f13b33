use std::sync::Arc;
use std::time::Duration;

use crate::flow::{Call, Jitter, Options};
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

    /// The same of another key: that of one of many ids.
    pub fn keyed(&self, characteristic: &str) -> Self {
        let mut plan = self.clone();
        plan.key = self.sharing.runtime().key(characteristic);
        plan
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

    /// The option `detach`.
    pub fn detach(mut self) -> Self {
        self.options.detach = true;
        self
    }

    /// The option `stale_while_revalidate`.
    pub fn stale_while_revalidate(mut self, time: Duration) -> Self {
        self.options.rare_mut().stale_while_revalidate = time;
        self
    }

    /// The option `stale_if_error`.
    pub fn stale_if_error(mut self, time: Duration) -> Self {
        self.options.rare_mut().stale_if_error = time;
        self
    }

    /// The option `early_refresh`.
    pub fn early_refresh(mut self, beta: f64) -> Self {
        self.options.rare_mut().early_refresh = Some(beta);
        self
    }

    /// The option `jitter`, where it is a duration.
    pub fn jitter(mut self, most: Duration) -> Self {
        self.options.rare_mut().jitter = Some(Jitter::Time(most));
        self
    }

    /// The option `jitter`, as a part of the time to live.
    pub fn jitter_part(mut self, most: f64) -> Self {
        self.options.rare_mut().jitter = Some(Jitter::Part(most));
        self
    }

    /// The option `wait`.
    pub fn wait(mut self, time: Duration) -> Self {
        self.options.rare_mut().wait = Some(time);
        self
    }

    /// The option `on_timeout = "compute"`.
    pub fn on_timeout_compute(mut self) -> Self {
        self.options.rare_mut().overflow = true;
        self
    }

    /// A text of the option `tags`.
    pub fn tag(mut self, tag: &str) -> Self {
        self.options.add_tag(self.sharing.runtime().tag(tag));
        self
    }

    /// The word `function` of the option `tags`.
    pub fn function_tag(mut self) -> Self {
        let tag = self.sharing.runtime().function_tag(self.name);
        self.options.add_tag(tag);
        self
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn invalidation_sql(&self) -> String {
        self.sharing.runtime().invalidation_sql(&self.key)
    }

    pub(crate) fn call(&self) -> Call {
        let runtime = Arc::clone(self.sharing.runtime());
        let options = self.options.clone();
        Call::new(runtime, self.key.clone(), self.name, options)
    }

    pub(crate) fn into_call(self) -> Call {
        let runtime = Arc::clone(self.sharing.runtime());
        Call::new(runtime, self.key, self.name, self.options)
    }
}
