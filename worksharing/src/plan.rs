use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::events::track;
use crate::flow::{Call, Jitter, Options, Rare};
use crate::near::{Salt, Whose, give_back};
use crate::policy::Policy;
use crate::{Key, WorkSharing};

/// A call of an annotated function, before the type of its value is known.
#[derive(Debug, Clone)]
#[must_use]
pub struct Plan {
    sharing: WorkSharing,
    /// The namespace is in it.
    characteristic: String,
    name: &'static str,
    options: Options,
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

    fn of(sharing: WorkSharing, mut characteristic: String, name: &'static str) -> Self {
        sharing.runtime().put_namespace(&mut characteristic);
        Self::behind_namespace(sharing, characteristic, name)
    }

    /// The namespace, if there is one, is in the characteristic string already.
    pub(crate) fn behind_namespace(
        sharing: WorkSharing,
        characteristic: String,
        name: &'static str,
    ) -> Self {
        Self {
            sharing,
            characteristic,
            name,
            options: Options::default(),
        }
    }

    /// The same of another key: that of one of many ids.
    pub fn keyed(&self, characteristic: String) -> Self {
        let mut plan = self.clone();
        plan.characteristic = characteristic;
        self.sharing
            .runtime()
            .put_namespace(&mut plan.characteristic);
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
        self.rare_mut().stale_while_revalidate = time;
        self
    }

    /// The option `stale_if_error`.
    pub fn stale_if_error(mut self, time: Duration) -> Self {
        self.rare_mut().stale_if_error = time;
        self
    }

    /// The option `early_refresh`.
    pub fn early_refresh(mut self, beta: f64) -> Self {
        self.rare_mut().early_refresh = Some(beta);
        self
    }

    /// The option `jitter`, where it is a duration.
    pub fn jitter(mut self, most: Duration) -> Self {
        self.rare_mut().jitter = Some(Jitter::Time(most));
        self
    }

    /// The option `jitter`, as a part of the time to live.
    pub fn jitter_part(mut self, most: f64) -> Self {
        self.rare_mut().jitter = Some(Jitter::Part(most));
        self
    }

    /// The option `wait`.
    pub fn wait(mut self, time: Duration) -> Self {
        self.rare_mut().wait = Some(time);
        self
    }

    /// The option `on_timeout = "compute"`.
    pub fn on_timeout_compute(mut self) -> Self {
        self.rare_mut().overflow = true;
        self
    }

    /// A text of the option `tags`.
    pub fn tag(mut self, tag: &str) -> Self {
        let tag = self.sharing.runtime().tag(tag);
        self.rare_mut().add_tag(tag);
        self
    }

    /// The word `function` of the option `tags`.
    pub fn function_tag(mut self) -> Self {
        let tag = self.sharing.runtime().function_tag(self.name);
        self.rare_mut().add_tag(tag);
        self
    }

    /// For what is kept in the process: a text that tells a call from those of the same key with other tags.
    pub fn salted(mut self, text: fmt::Arguments<'_>) -> Self {
        self.rare_mut().salt.add(text);
        self
    }

    /// The same of all texts at once.
    pub(crate) fn of_salt(mut self, salt: Salt) -> Self {
        if salt != Salt::NONE {
            self.rare_mut().salt = salt;
        }
        self
    }

    /// The option `local`.
    pub fn local(mut self, time: Duration) -> Self {
        self.rare_mut().local = time;
        self
    }

    fn rare_mut(&mut self) -> &mut Rare {
        self.options.rare_mut()
    }

    pub(crate) fn key(&self) -> Key {
        Key::new(&*self.characteristic)
    }

    /// What the function returns, if it is kept in this process. Then the plan is of no use any more. For calls that look
    /// for it later than [`Sought`](crate::sought::Sought).
    pub(crate) fn find<P: Policy>(&mut self, policy: &P) -> Option<P::Returned> {
        let keeping = policy.keeping().filter(|_| !self.options.force_refresh)?;
        let whose = Whose {
            characteristic: &self.characteristic,
            version: self.options.version,
            salt: self.options.rare().salt,
        };
        let shared = self.sharing.runtime().find(keeping, whose)?;
        track::found_here(self.name, &self.characteristic);
        give_back(std::mem::take(&mut self.characteristic));
        Some(P::from_shared(shared))
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn invalidation_sql(&self) -> String {
        self.sharing.runtime().invalidation_sql(&self.key())
    }

    pub(crate) fn call(&self) -> Call {
        self.clone().into_call()
    }

    pub(crate) fn into_call(self) -> Call {
        let key = self.key();
        give_back(self.characteristic);
        let runtime = Arc::clone(self.sharing.runtime());
        Call::new(runtime, key, self.name, self.options)
    }
}
