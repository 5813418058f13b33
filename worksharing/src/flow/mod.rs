//! The flow: one place, for sync and async callers alike. This file is the only part of it that knows the value's
//! type: it decodes what [`acquire`] found, and makes bytes of what was computed.

mod acquire;
pub(crate) mod ancestry;
mod call;
#[cfg(test)]
#[cfg(feature = "__shuttle")]
mod explore;
mod fence;
mod flight;
mod landing;
mod lead;
mod product;
mod suspended;
mod timing;
mod unstorable;

use std::fmt;
use std::pin::{Pin, pin};

use serde::de::DeserializeOwned;

use self::acquire::{Next, acquire};
pub(crate) use self::call::{Call, Options};
pub(crate) use self::flight::Flights;
use self::lead::Lead;
pub(crate) use self::timing::clamp;

pub(crate) use self::unstorable::Unstorable;
use crate::events::Event;
use crate::payload::entry::EntryId;
use crate::payload::{codec, fingerprint};
use crate::policy::Policy;

/// How a call of shared work goes on.
#[expect(
    clippy::large_enum_variant,
    reason = "it is matched at once, and boxing it would cost every miss"
)]
pub enum Acquired<P: Policy> {
    /// With what it returns.
    Value(P::Returned),
    /// By computing.
    Lead(Leading<P>),
}

/// The right, and the duty, to compute. Dropped without landing, another caller computes.
#[must_use = "others wait for it"]
pub struct Leading<P> {
    call: Call,
    policy: P,
    lead: Lead,
}

impl<P> fmt::Debug for Leading<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Leading").field(&self.call.key).finish()
    }
}

impl<P: Policy> fmt::Debug for Acquired<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value"),
            Self::Lead(lead) => lead.fmt(f),
        }
    }
}

/// Looks, joins or waits, until there is something to return or to be computed.
pub(crate) async fn begin<P: Policy>(mut call: Call, policy: P) -> Acquired<P> {
    call.fingerprint = fingerprint::fingerprint::<P::Shared>(call.options.version).hash;
    let mut distrust = None;
    loop {
        let (bytes, event) = match acquire(&call, distrust).await {
            Next::Lead(lead) => return Acquired::Lead(Leading { call, policy, lead }),
            Next::Failed(error) => match policy.with_error(error) {
                Some(returned) => {
                    call.record(Event::Shared);
                    return Acquired::Value(returned);
                }
                None => continue,
            },
            Next::Hit(bytes) => (bytes, Event::Hit),
            Next::Shared(bytes) => (bytes, Event::Shared),
        };
        match call.decode(&bytes) {
            Ok(value) => {
                call.record(event);
                return Acquired::Value(P::from_shared(value));
            }
            Err(id) => distrust = id,
        }
    }
}

/// The stored value, if it is fresh.
pub(crate) async fn peek<T: DeserializeOwned>(mut call: Call) -> Option<T> {
    call.fingerprint = fingerprint::fingerprint::<T>(call.options.version).hash;
    let bytes = call.look(None).await.into_fresh()?;
    call.decode(&bytes).ok()
}

impl<P: Policy> Leading<P> {
    /// Computes, and shares what comes of it.
    ///
    /// An `async fn` would keep its arguments twice.
    pub fn land<F>(self, body: Pin<&mut F>) -> impl Future<Output = P::Returned>
    where
        F: Future<Output = P::Returned>,
    {
        self.call.record(Event::Computed);
        async move {
            let returned = {
                let body = pin!(ancestry::within(self.call.id(), body));
                suspended::counted(body).await
            };
            self.share(returned).await
        }
    }

    /// [`land`](Self::land), on this thread.
    pub fn land_blocking(self, body: impl FnOnce() -> P::Returned) -> P::Returned {
        self.call.record(Event::Computed);
        let returned = {
            let _frame = ancestry::Frame::enter(self.call.id());
            body()
        };
        crate::blocking::block_on(self.share(returned))
    }

    fn share(self, returned: P::Returned) -> impl Future<Output = P::Returned> {
        let product = product::of(&self.call, &self.lead, &self.policy, &returned);
        async move {
            // Boxed for the same reason as the lead up to here.
            let mut landing = Box::pin(self.lead.finish(&self.call, product));
            suspended::counted(landing.as_mut()).await;
            returned
        }
    }
}

impl Call {
    /// The value in an entry of this call's key and type; or the id of the entry that cannot be decoded.
    fn decode<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Option<EntryId>> {
        let Some((_, frame)) = self.frame(bytes) else {
            return Err(None);
        };
        let decoded = match frame.payload() {
            Ok((codec, payload)) => codec::decode(codec, payload).map_err(|e| e.to_string()),
            Err(reason) => Err(reason.to_string()),
        };
        decoded.map_err(|reason| {
            self.record(Event::Unreadable(&reason));
            Some(frame.header.id)
        })
    }
}
