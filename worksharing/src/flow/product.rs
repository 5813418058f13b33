//! What comes of a computation, as bytes for the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::call::Call;
use super::lead::{Lead, Product};
use super::{tags, timing};
use crate::events::Event;
use crate::payload::codec::Unencodable;
use crate::payload::entry::{Draft, EntryId, Header, Kind, Written};
use crate::policy::{Policy, SharedError, Storable};

/// Encodes what is to be stored, or what somebody waits for. A panic of the user's closures or `Serialize` is a reason
/// not to share, and not one to lose the value.
pub(super) fn of<P: Policy>(
    call: &Call,
    lead: &Lead,
    policy: &P,
    returned: &P::Returned,
) -> Product {
    let entry = caught(call, || {
        let storable = policy.stored(returned, call.ttl(), call.options.cache_none)?;
        entry(call, lead, &storable, P::SHARES_FIRST)
    });
    match entry {
        Some((entry, true)) if P::is_error(returned) && P::SHARES_FIRST => {
            Product::Error(Some(entry))
        }
        Some((entry, is_stored)) => Product::Entry(entry, is_stored),
        None if P::is_error(returned) => Product::Error(None),
        None => Product::Nothing,
    }
}

/// The error, for one who waits for it.
pub(super) fn error<P: Policy>(
    call: &Call,
    policy: &P,
    returned: &P::Returned,
) -> Option<SharedError> {
    caught(call, || policy.share_error(returned))
}

pub(super) fn caught<R>(call: &Call, run: impl FnOnce() -> Option<R>) -> Option<R> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        call.record(Event::Unshareable(
            "its `Serialize` or `Clone`, or a closure of its options, panicked",
        ));
        None
    })
}

/// The bytes of an outcome, and whether they are to be stored, or are for those who wait only.
fn entry(
    call: &Call,
    lead: &Lead,
    storable: &Storable<'_>,
    shares_first: bool,
) -> Option<(Written, bool)> {
    let limit = call.runtime.max_value_bytes;
    if let Some(lifetime) = lifetime(call, lead, storable) {
        match encode(call, lead, storable, Some(lifetime), limit) {
            Ok(entry) => return Some((entry, true)),
            Err(Unencodable::TooLarge) => too_large(call, storable.kind),
            Err(reason) => {
                call.record(Event::Unshareable(&reason.to_string()));
                return None;
            }
        }
    }
    let is_wanted = lead.is_followed() && !(shares_first && storable.kind == Kind::Error);
    if !is_wanted {
        return None;
    }
    let entry = encode(call, lead, storable, None, usize::MAX).ok()?;
    Some((entry, false))
}

/// How long it is to be fresh in the store; `None`: it is not to be stored.
fn lifetime(call: &Call, lead: &Lead, storable: &Storable<'_>) -> Option<Duration> {
    let lifetime = storable.lifetime.filter(|_| lead.stores())?;
    if lifetime.is_zero() {
        call.record(Event::NoLifetime);
        return None;
    }
    if storable.kind == Kind::Error && lead.standing(call).is_some() {
        return None;
    }
    let jitter = call.options.of(storable.kind).jitter;
    Some(timing::shortened(lifetime, jitter, || {
        EntryId::random().draw()
    }))
}

fn too_large(call: &Call, kind: Kind) {
    call.record(Event::TooLarge(call.runtime.max_value_bytes));
    // Whoever waits for the lock may still find a value.
    if kind == Kind::Value {
        call.runtime.unstorable.insert(call.key.digest());
    }
}

fn encode(
    call: &Call,
    lead: &Lead,
    storable: &Storable<'_>,
    lifetime: Option<Duration>,
    limit: usize,
) -> Result<Written, Unencodable> {
    let Storable { kind, payload, .. } = *storable;
    let fingerprint = payload.fingerprint(call.options.version);
    let fresh_for = lifetime.unwrap_or_default();
    let keep_for = timing::keep_for(fresh_for, call.options.of(kind));
    let header = Header {
        based_on: lead.based_on(),
        fingerprint: fingerprint.hash ^ tags::salt(call.tags()),
        tags: lead.tags(),
        fresh_for,
        compute_time: lead.elapsed(),
        ..Header::new(kind, keep_for)
    };
    let carried = lifetime.and_then(|_| lead.carried(call));
    let draft = Draft::new(header, call.key.characteristic(), carried, limit);
    let payload = payload.encode(fingerprint.names, draft.room())?;
    Ok(draft.finish(payload))
}
