//! The flow: one place, for sync and async callers alike. This file is the only part of it that knows the value's
//! type: it decodes what [`acquire`] found, and makes bytes of what was computed.

mod acquire;
pub(crate) mod ancestry;
mod call;
mod detach;
#[cfg(test)]
#[cfg(feature = "__shuttle")]
mod explore;
mod fence;
mod flight;
mod landing;
mod lead;
mod options;
mod pauses;
mod product;
mod suspended;
mod timing;
mod unstorable;
mod waiting;

use std::fmt;
use std::pin::{Pin, pin};
use std::time::Instant;

use serde::de::DeserializeOwned;

use self::acquire::{Acquisition, Begun, Next};
pub(crate) use self::call::Call;
pub(crate) use self::detach::{detach, detach_blocking};
pub(crate) use self::flight::Flights;
use self::lead::{Lead, Older, Product};
pub(crate) use self::options::{Jitter, Options};
pub(crate) use self::pauses::Pauses;
pub(crate) use self::timing::clamp;
pub(crate) use self::unstorable::Unstorable;
use crate::blocking::block_on;
use crate::detached::Permit;
use crate::events::Event;
use crate::payload::entry::EntryId;
use crate::payload::{codec, fingerprint};
use crate::policy::Policy;

/// How a call of shared work goes on.
#[derive(Debug)]
pub enum Acquired<R> {
    /// With what it returns.
    Value(R),
    /// It has waited for as long as it may. What it computes now is its own.
    TimedOut(Leading),
    /// By computing.
    Lead(Leading),
}

/// The right, and the duty, to compute. Dropped without landing, another caller computes.
///
/// Boxed, so that the futures through which it goes do not carry it.
#[must_use = "others wait for it"]
pub struct Leading(Box<Led>);

struct Led {
    call: Call,
    stage: Stage,
}

enum Stage {
    /// The body is next.
    Body(Lead),
    /// The way to the body is to be gone first, by a task if there is a permit.
    Begun(Box<Begun>, Option<Permit>),
}

impl Stage {
    fn into_lead(self) -> Lead {
        match self {
            Self::Body(lead) => lead,
            // Whoever has not gone the way has nothing to share.
            Self::Begun(..) => Lead::inline(),
        }
    }
}

impl fmt::Debug for Leading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Leading").field(&self.0.call.key).finish()
    }
}

/// Looks, joins or waits, until there is something to return or to be computed.
pub(crate) fn begin<P: Policy>(mut call: Call) -> impl Future<Output = Acquired<P::Returned>> {
    call.fingerprint = fingerprint::fingerprint::<P::Shared>(call.options.version).hash;
    let wait = call.options.rare().wait;
    call.deadline = wait.and_then(|wait| Instant::now().checked_add(wait));
    go_on::<P>(call, None)
}

/// The same from the beginning of a lead on, if there is one.
#[expect(clippy::manual_async_fn, reason = "it would keep its arguments twice")]
fn go_on<P: Policy>(
    call: Call,
    mut begun: Option<Box<Begun>>,
) -> impl Future<Output = Acquired<P::Returned>> {
    async move {
        let mut distrust = None;
        loop {
            let next = {
                let mut acquisition = Acquisition::new(&call, distrust);
                acquisition.acquire(begun.take()).await
            };
            let (bytes, event) = match next {
                Next::Served(bytes, event) => (bytes, event),
                Next::Failed(error) => match P::with_error(error) {
                    Some(returned) => {
                        call.record(Event::Shared);
                        return Acquired::Value(returned);
                    }
                    None => continue,
                },
                Next::TimedOut => {
                    let stage = Stage::Body(Lead::inline());
                    return Acquired::TimedOut(Leading::new(call, stage));
                }
                Next::Lead(lead) => return Acquired::Lead(Leading::new(call, Stage::Body(lead))),
                Next::Detach(begun, permit) => {
                    let stage = Stage::Begun(begun, Some(permit));
                    return Acquired::Lead(Leading::new(call, stage));
                }
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
}

/// The stored value, if a call would return it without waiting.
pub(crate) async fn peek<T: DeserializeOwned>(mut call: Call) -> Option<T> {
    call.fingerprint = fingerprint::fingerprint::<T>(call.options.version).hash;
    let bytes = call.look(None).await.into_served()?;
    call.decode(&bytes).ok()
}

impl Leading {
    fn new(call: Call, stage: Stage) -> Self {
        Self(Box::new(Led { call, stage }))
    }

    /// Computes, and shares what comes of it.
    ///
    /// An `async fn` would keep its arguments twice.
    pub(crate) fn land<P, F>(
        self,
        policy: P,
        body: Pin<&mut F>,
    ) -> impl Future<Output = P::Returned>
    where
        P: Policy,
        F: Future<Output = P::Returned>,
    {
        let mut led = self.0;
        async move {
            if let Stage::Begun(..) = led.stage {
                match Box::pin(resume::<P>(led)).await {
                    Ok(value) => return value,
                    Err(at_the_body) => led = at_the_body,
                }
            }
            led.call.record(Event::Computed);
            let returned = {
                let body = pin!(ancestry::within(led.call.id(), body));
                suspended::counted(body).await
            };
            share(led, policy, returned).await
        }
    }

    /// [`land`](Self::land), on this thread.
    pub(crate) fn land_blocking<P: Policy>(
        self,
        policy: P,
        body: impl FnOnce() -> P::Returned,
    ) -> P::Returned {
        let mut led = self.0;
        if let Stage::Begun(..) = led.stage {
            match block_on(resume::<P>(led)) {
                Ok(value) => return value,
                Err(at_the_body) => led = at_the_body,
            }
        }
        led.call.record(Event::Computed);
        let returned = {
            let _frame = ancestry::Frame::enter(led.call.id());
            body()
        };
        block_on(share(led, policy, returned))
    }
}

/// The way from the beginning of a lead to a value, or to the body.
async fn resume<P: Policy>(led: Box<Led>) -> Result<P::Returned, Box<Led>> {
    let Led { mut call, stage } = *led;
    let Stage::Begun(begun, _) = stage else {
        return Err(Box::new(Led { call, stage }));
    };
    call.options.detach = false;
    // Its callers have limits of their own.
    if !call.options.rare().overflow {
        call.deadline = None;
    }
    match go_on::<P>(call, Some(begun)).await {
        Acquired::Value(value) => Ok(value),
        Acquired::TimedOut(Leading(led)) | Acquired::Lead(Leading(led)) => Err(led),
    }
}

fn share<P: Policy>(
    led: Box<Led>,
    policy: P,
    returned: P::Returned,
) -> impl Future<Output = P::Returned> {
    let Led { call, stage } = *led;
    let lead = stage.into_lead();
    let (returned, product) = outcome(&call, &lead, &policy, returned);
    async move {
        // Boxed for the same reason as the lead up to here.
        let mut landing = Box::pin(lead.finish(&call, product));
        suspended::counted(landing.as_mut()).await;
        returned
    }
}

/// What the caller is given, and what the others are.
fn outcome<P: Policy>(
    call: &Call,
    lead: &Lead,
    policy: &P,
    returned: P::Returned,
) -> (P::Returned, Product) {
    if P::shared(&returned).is_none() {
        call.record(Event::Failed);
        if let Some((value, older)) = older::<P>(call, lead) {
            call.record(Event::Stale);
            return (value, Product::Older(older));
        }
    }
    let product = product::of(call, lead, policy, &returned);
    (returned, product)
}

/// A value in place of an error.
fn older<P: Policy>(call: &Call, lead: &Lead) -> Option<(P::Returned, Older)> {
    let older = lead.older(call)?;
    let value = call.decode(&older.bytes).ok()?;
    Some((P::from_shared(value), older))
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
