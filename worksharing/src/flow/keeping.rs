//! What of a call is kept in this process, and for how long.

use std::sync::Arc;
use std::time::Duration;

use super::call::{Call, Sight};
use super::timing::{self, Verdict};
use crate::changes::{Stamp, Time, time_of};
use crate::events::track;
use crate::near::{Fill, Keeping, Whose};
use crate::payload::entry::{Container, Frame, Kind};

/// A value that may be kept, boxed for the futures through which it goes: few calls fill the tier.
pub(super) type Filling = Option<Box<Fill>>;

impl Call {
    /// A clone of the value that is kept in this process.
    pub(crate) fn find<S>(&self, keeping: Option<Keeping<S>>) -> Option<S> {
        let keeping = keeping.filter(|_| !self.options.force_refresh)?;
        let whose = Whose {
            characteristic: self.key.characteristic(),
            version: self.options.version,
            salt: self.options.rare().salt,
        };
        let found = self.runtime.find(keeping, whose)?;
        track::found_here(self.track.function.name, self.key.characteristic());
        Some(found)
    }

    /// Keeps a clone of a value. A panic of the user's `Clone` is a reason not to.
    pub(super) fn keep<S>(&self, keeping: Option<Keeping<S>>, filling: Filling, value: &S) {
        let (Some(keeping), Some(fill)) = (keeping, filling) else {
            return;
        };
        super::product::caught(self, || {
            self.runtime.keep(keeping, &fill, value);
            Some(())
        });
    }

    /// Whether what is of this kind is kept.
    pub(super) fn keeps(&self, kind: Kind) -> bool {
        kind == Kind::Value && !self.options.rare().local.is_zero()
    }

    /// To be taken before a look is sent.
    pub(super) fn stamp(&self) -> Option<Box<Stamp>> {
        self.keeps(Kind::Value)
            .then(|| Box::new(self.runtime.changes.epochs().stamp()))
    }

    /// Of a value that was put after this moment.
    pub(super) fn filling_of_put(&self, stamp: Stamp, asked: Time, entry: &[u8]) -> Filling {
        let put = Container::parse(entry).ok()?;
        self.filling(stamp, asked, &put.newest, Duration::ZERO, entry.len())
    }

    /// Of a value that had this age at this moment, or later.
    fn filling(
        &self,
        stamp: Stamp,
        at: Time,
        of: &Frame<'_>,
        age: Duration,
        bytes: usize,
    ) -> Filling {
        let (header, options) = (&of.header, self.options.rare());
        if !self.keeps(header.kind) {
            return None;
        }
        let usable_for = timing::usable_for(header, age, options, || header.id.draw());
        let longest = stamp.at.saturating_add(time_of(options.local));
        let until = at.saturating_add(time_of(usable_for)).min(longest);
        Some(Box::new(Fill {
            stamp,
            until,
            bytes,
            key: self.key.clone(),
            version: self.options.version,
            salt: options.salt,
            digests: self.digests(),
            function: Arc::clone(&self.track.function),
        }))
    }
}

impl Sight {
    /// Of the entry that it found, if that is fresh.
    pub(super) fn filling(&self, call: &Call) -> Filling {
        self.entry.filter(|entry| entry.verdict == Verdict::Fresh)?;
        let (stamp, stored) = (self.stamp.as_deref()?, self.stored.as_ref()?);
        let (container, frame) = call.frame(&stored.bytes)?;
        let age = container.age(&frame, stored.time_left?);
        call.filling(*stamp, stamp.at, &frame, age, stored.bytes.len())
    }
}
