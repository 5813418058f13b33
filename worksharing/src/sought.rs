use std::fmt;

use crate::WorkSharing;
use crate::events::track;
use crate::near::{Salt, Whose, give_back};
use crate::plan::Plan;
use crate::policy::Policy;
use crate::runtime::Runtime;

/// A call whose value may be kept in this process: what is needed to look for it, and no more.
#[derive(Debug)]
#[must_use]
pub struct Sought<'s> {
    sharing: &'s WorkSharing,
    /// The namespace is in it.
    characteristic: String,
    name: &'static str,
    version: u32,
    force_refresh: bool,
    salt: Salt,
}

impl<'s> Sought<'s> {
    /// Of this runtime, and of the function of this name.
    #[inline]
    pub fn via(sharing: &'s WorkSharing, mut characteristic: String, name: &'static str) -> Self {
        sharing.runtime().put_namespace(&mut characteristic);
        Self {
            sharing,
            characteristic,
            name,
            version: 0,
            force_refresh: false,
            salt: Salt::NONE,
        }
    }

    /// The option `version`.
    #[inline]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// The option `force_refresh`.
    #[inline]
    pub fn force_refresh(mut self, yes: bool) -> Self {
        self.force_refresh = yes;
        self
    }

    /// A text that tells the call from those of the same key with other tags.
    #[inline]
    pub fn salted(mut self, text: fmt::Arguments<'_>) -> Self {
        self.salt.add(text);
        self
    }

    /// What the function returns, if it is kept in this process. Of the policy only its type counts, and whether it
    /// keeps.
    pub fn find<P: Policy>(&mut self, policy: P) -> Option<P::Returned> {
        if self.force_refresh {
            return None;
        }
        let whose = Whose {
            characteristic: &self.characteristic,
            version: self.version,
            salt: self.salt,
        };
        let runtime: &Runtime = self.sharing.runtime();
        let shared = runtime.find(policy.keeping()?, whose)?;
        track::found_here(self.name, &self.characteristic);
        give_back(std::mem::take(&mut self.characteristic));
        Some(P::from_shared(shared))
    }

    /// The call, to go on with.
    pub fn plan(self) -> Plan {
        let plan = Plan::behind_namespace(self.sharing.clone(), self.characteristic, self.name);
        let plan = plan.version(self.version).force_refresh(self.force_refresh);
        plan.of_salt(self.salt)
    }
}
