//! The flow: one place, for sync and async callers alike. This file is the only part of it that knows the value's
//! type: it decodes what [`acquire`] found, and makes bytes of what was computed.

mod acquire;
pub(crate) mod ancestry;
mod call;
mod convoy;
mod detach;
#[cfg(test)]
#[cfg(feature = "__shuttle")]
mod explore;
mod fence;
mod flight;
mod invalidate;
mod keeping;
mod landing;
mod lead;
mod lock_and_look;
mod many;
mod options;
mod pauses;
mod product;
mod running;
mod suspended;
mod tags;
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
#[cfg(feature = "postgres")]
pub(crate) use self::invalidate::without_value;
use self::lead::{Landed, Lead, Older, Product};
pub(crate) use self::many::{Asker, End, Ended, Several};
pub(crate) use self::options::{Jitter, Options, Rare};
pub(crate) use self::pauses::Pauses;
use self::running::Running;
pub(crate) use self::timing::clamp;
pub(crate) use self::unstorable::Unstorable;
use crate::blocking::block_on;
use crate::detached::Permit;
use crate::entry::Entry;
use crate::events::Event;
use crate::events::outcome::Outcome;
use crate::near::Keeping;
use crate::payload::entry::{EntryId, Kind, Types};
use crate::payload::fingerprint::fingerprint;
use crate::policy::{Encoded, Policy};

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
    /// While its body runs.
    running: Option<Running>,
}

impl Led {
    fn new(call: Call, stage: Stage) -> Box<Self> {
        Box::new(Self {
            call,
            stage,
            running: None,
        })
    }

    /// Its body is about to run.
    fn begin_body(&mut self) {
        let holds_lock = matches!(&self.stage, Stage::Body(lead) if lead.holds_lock());
        self.running = Some(Running::begin(&self.call, holds_lock));
    }
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
pub(crate) fn begin<P: Policy>(
    mut call: Call,
    keeping: Option<Keeping<P::Shared>>,
) -> impl Future<Output = Acquired<P::Returned>> {
    let version = call.options.version;
    call.types = Types::new(
        fingerprint::<P::Shared>(version).hash,
        P::error_fingerprint(version),
    )
    .salted(tags::salt(call.tags()));
    call.track.begin(&call.key);
    if call.options.rare().batch.is_none() {
        let wait = call.options.rare().wait;
        call.deadline = wait.and_then(|wait| Instant::now().checked_add(wait));
    }
    go_on::<P>(call, None, keeping)
}

/// The same from the beginning of a lead on, if there is one.
#[expect(clippy::manual_async_fn, reason = "it would keep its arguments twice")]
fn go_on<P: Policy>(
    call: Call,
    mut begun: Option<Box<Begun>>,
    keeping: Option<Keeping<P::Shared>>,
) -> impl Future<Output = Acquired<P::Returned>> {
    async move {
        let mut distrust = None;
        loop {
            let next = {
                let mut acquisition = Acquisition::new(&call, distrust);
                acquisition.acquire(begun.take()).await
            };
            let (bytes, event, filling) = match next {
                Next::Served(bytes, event, filling) => (bytes, event, filling),
                Next::Failed(error) => match P::with_error(error) {
                    Some(returned) => {
                        call.served(Event::Shared);
                        return Acquired::Value(returned);
                    }
                    None => continue,
                },
                Next::TimedOut => {
                    call.track.ended(Outcome::Timeout);
                    let stage = Stage::Body(Lead::inline());
                    return Acquired::TimedOut(Leading::new(call, stage));
                }
                Next::Lead(lead) => return Acquired::Lead(Leading::new(call, Stage::Body(lead))),
                Next::Detach(begun, permit) => {
                    let stage = Stage::Begun(begun, permit);
                    return Acquired::Lead(Leading::new(call, stage));
                }
            };
            let keep = |shared: &_| call.keep(keeping, filling, shared);
            match call.decode_and::<P>(&bytes, keep) {
                Ok(returned) => {
                    call.served(event);
                    return Acquired::Value(returned);
                }
                Err(id) => distrust = id,
            }
        }
    }
}

/// The stored value, if a call would return it without waiting.
pub(crate) async fn peek<T: DeserializeOwned>(mut call: Call) -> Option<T> {
    call.types = types_of_value::<T>(&call);
    let bytes = call.look(None).await.into_served()?;
    call.decode_value(&bytes).ok()
}

/// The stored value with its age, if a call could return it, be it in place of an error.
pub(crate) async fn entry<T: DeserializeOwned>(mut call: Call) -> Option<Entry<T>> {
    call.types = types_of_value::<T>(&call);
    let sight = call.look_with_age(None).await;
    sight.entry.filter(|entry| entry.verdict.is_servable())?;
    let stored = sight.stored?;
    let (container, frame) = call.frame(&stored.bytes)?;
    let age = container.age(&frame, stored.time_left?);
    let time_left = frame.header.fresh_for.saturating_sub(age);
    Some(Entry {
        value: call.decode_value(&stored.bytes).ok()?,
        age,
        time_left,
        is_fresh: !time_left.is_zero(),
    })
}

fn types_of_value<T: DeserializeOwned>(call: &Call) -> Types {
    Types::value(fingerprint::<T>(call.options.version).hash).salted(tags::salt(call.tags()))
}

impl Leading {
    fn new(call: Call, stage: Stage) -> Self {
        Self(Led::new(call, stage))
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
                match Box::pin(resume::<P>(led, policy.keeping())).await {
                    Ok(value) => return value,
                    Err(at_the_body) => led = at_the_body,
                }
            }
            led.begin_body();
            let returned = {
                let body = pin!(ancestry::within(&led.call, body));
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
            match block_on(resume::<P>(led, policy.keeping())) {
                Ok(value) => return value,
                Err(at_the_body) => led = at_the_body,
            }
        }
        led.begin_body();
        let returned = {
            let _frame = ancestry::Frame::enter(led.call.id());
            let _span = led.call.track.enter();
            body()
        };
        block_on(share(led, policy, returned))
    }
}

/// The way from the beginning of a lead to a value, or to the body.
async fn resume<P: Policy>(
    led: Box<Led>,
    keeping: Option<Keeping<P::Shared>>,
) -> Result<P::Returned, Box<Led>> {
    let Led {
        mut call, stage, ..
    } = *led;
    let Stage::Begun(begun, _) = stage else {
        return Err(Led::new(call, stage));
    };
    call.options.detach = false;
    // Its callers have limits of their own.
    if !call.options.rare().overflow {
        call.deadline = None;
    }
    match go_on::<P>(call, Some(begun), keeping).await {
        Acquired::Value(value) => Ok(value),
        Acquired::TimedOut(Leading(led)) | Acquired::Lead(Leading(led)) => Err(led),
    }
}

fn share<P: Policy>(
    led: Box<Led>,
    policy: P,
    returned: P::Returned,
) -> impl Future<Output = P::Returned> {
    let putting = put(*led, &policy, returned);
    async move {
        let (call, landed, returned) = putting.await;
        landed.land(|| product::error(&call, &policy, &returned));
        returned
    }
}

/// Puts what is to be stored of it, and keeps what is kept in this process. It lands when that is dropped.
fn put<P: Policy>(
    led: Led,
    policy: &P,
    returned: P::Returned,
) -> impl Future<Output = (Call, Landed, P::Returned)> + use<P> {
    let Led { call, stage, .. } = led;
    let mut lead = stage.into_lead();
    let (returned, product) = outcome(&call, &mut lead, policy, returned);
    let (finishing, keeping) = (finish(call, lead, product), policy.keeping());
    async move {
        let (call, mut landed) = finishing.await;
        if let Some(shared) = P::shared(&returned) {
            call.keep(keeping, landed.filling.take(), shared);
        }
        (call, landed, returned)
    }
}

/// Boxed for the same reason as the lead up to here.
fn finish(
    call: Call,
    lead: Lead,
    product: Product,
) -> Pin<Box<impl Future<Output = (Call, Landed)>>> {
    Box::pin(async move {
        let landed = suspended::counted(pin!(lead.finish(&call, product))).await;
        (call, landed)
    })
}

/// What the caller is given, and what the others are.
fn outcome<P: Policy>(
    call: &Call,
    lead: &mut Lead,
    policy: &P,
    returned: P::Returned,
) -> (P::Returned, Product) {
    if P::is_error(&returned)
        && let Some((value, older)) = failed::<P>(call, lead)
    {
        return (value, Product::Older(older));
    }
    match P::is_error(&returned) {
        true => call.track.failed(),
        false => call.track.computed(),
    }
    let product = product::of(call, lead, policy, &returned);
    (returned, product)
}

/// The computation ended in an error: a value in place of it, if there is one.
fn failed<P: Policy>(call: &Call, lead: &mut Lead) -> Option<(P::Returned, Older)> {
    call.record(Event::Failed);
    lead.failed();
    let older = lead.older(call)?;
    let returned = call.decode::<P>(&older.bytes).ok()?;
    call.served(Event::Stale);
    Some((returned, older))
}

impl Call {
    /// It was answered with what was there, or with what another computed.
    fn served(&self, how: Event<'_>) {
        self.record(how);
        self.track.ended(match how {
            Event::Stale => Outcome::Stale,
            Event::Shared => Outcome::Shared,
            _ => Outcome::Hit,
        });
    }

    /// What a caller returns that was given an entry of this call's key and types; or the id of the one that cannot be
    /// decoded.
    fn decode<P: Policy>(&self, bytes: &[u8]) -> Result<P::Returned, Option<EntryId>> {
        self.decode_and::<P>(bytes, |_| ())
    }

    /// [`decode`](Self::decode), and shows the value in between.
    fn decode_and<P: Policy>(
        &self,
        bytes: &[u8],
        show: impl FnOnce(&P::Shared),
    ) -> Result<P::Returned, Option<EntryId>> {
        self.decode_by(bytes, |kind, stored| match kind {
            Kind::Error => P::decode_error(stored),
            _ => stored.decode().inspect(show).map(P::from_shared),
        })
    }

    /// The same, of a call that takes no errors.
    fn decode_value<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, Option<EntryId>> {
        self.decode_by(bytes, |_, stored| stored.decode())
    }

    fn decode_by<R>(
        &self,
        bytes: &[u8],
        decode: impl FnOnce(Kind, Encoded<'_>) -> Result<R, String>,
    ) -> Result<R, Option<EntryId>> {
        let (_, frame) = self.frame(bytes).ok_or(None)?;
        let decoded = match frame.payload() {
            Ok((codec, payload)) => decode(frame.header.kind, Encoded { codec, payload }),
            Err(reason) => Err(reason.to_string()),
        };
        decoded.map_err(|reason| {
            self.record(Event::Unreadable(&reason));
            Some(frame.header.id)
        })
    }
}
