//! What comes of a computation, as bytes for the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::landing::Outcome;
use super::lead::{Lead, Product};
use super::timing;
use crate::events::Event;
use crate::payload::codec::{self, Unencodable};
use crate::payload::entry::{Draft, EntryId, Header, Kind};
use crate::payload::fingerprint::fingerprint;
use crate::policy::Policy;

/// Encodes what is to be stored, or what somebody waits for. A panic of the user's closures or `Serialize` is a reason
/// not to share, and not one to lose the value.
pub(super) fn of<P: Policy>(
    call: &Call,
    lead: &Lead,
    policy: &P,
    returned: &P::Returned,
) -> Product {
    let product = catch_unwind(AssertUnwindSafe(|| match P::shared(returned) {
        Some(value) => of_value(call, lead, value, lifetime(call, policy, value)),
        None if lead.is_followed() => policy
            .share_error(returned)
            .map_or(Product::Nothing, |error| {
                Product::Error(Outcome::Error(error))
            }),
        None => Product::Nothing,
    }));
    product.unwrap_or_else(|_| {
        call.record(Event::Unshareable(
            "its `ttl`, `cache_if`, `Serialize` or `Clone` panicked",
        ));
        Product::Nothing
    })
}

/// How long a value is to be fresh in the store; `None`: it is not to be stored.
fn lifetime<P: Policy>(call: &Call, policy: &P, value: &P::Shared) -> Option<Duration> {
    if !call.options.cache_none && codec::is_none(value) {
        return None;
    }
    let lifetime = policy.lifetime(value, call.ttl())?;
    if lifetime.is_zero() {
        call.record(Event::NoLifetime);
        return None;
    }
    let jitter = call.options.rare().jitter;
    Some(timing::shortened(lifetime, jitter, || {
        EntryId::random().draw()
    }))
}

fn of_value<T: Serialize + DeserializeOwned>(
    call: &Call,
    lead: &Lead,
    value: &T,
    lifetime: Option<Duration>,
) -> Product {
    let lifetime = lifetime.filter(|_| lead.stores());
    let limit = call.runtime.max_value_bytes;
    if lifetime.is_some() {
        match encode(call, lead, value, lifetime, limit) {
            Ok(product) => return product,
            Err(Unencodable::TooLarge) => {
                call.record(Event::TooLarge(limit));
                call.runtime.unstorable.insert(call.key.digest());
            }
            Err(reason) => {
                call.record(Event::Unshareable(&reason.to_string()));
                return Product::Nothing;
            }
        }
    }
    if !lead.is_followed() {
        return Product::Nothing;
    }
    encode(call, lead, value, None, usize::MAX).unwrap_or(Product::Nothing)
}

fn encode<T: Serialize + DeserializeOwned>(
    call: &Call,
    lead: &Lead,
    value: &T,
    lifetime: Option<Duration>,
    limit: usize,
) -> Result<Product, Unencodable> {
    let fingerprint = fingerprint::<T>(call.options.version);
    let fresh_for = lifetime.unwrap_or_default();
    let keep_for = timing::keep_for(fresh_for, call.options.rare());
    let header = Header {
        based_on: lead.based_on(),
        fingerprint: fingerprint.hash,
        fresh_for,
        compute_time: lead.elapsed(),
        ..Header::new(Kind::Value, keep_for)
    };
    let carried = lifetime.and_then(|_| lead.carried(call));
    let draft = Draft::new(header, call.key.characteristic(), carried, limit);
    let payload = codec::encode(value, fingerprint.names, draft.room())?;
    Ok(Product::Entry(draft.finish(payload), lifetime.is_some()))
}
