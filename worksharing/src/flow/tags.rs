//! Tags: each has a marker in the store, with a random id. An entry is valid only under the ids of the markers that its
//! leader saw before it computed; whoever looks reads them together with the entry.
//!
//! A marker that is missing is a miss, never a match: whoever computes lays it first, under a new id. So a marker may be
//! lost once it has stood for [`FENCE_LIFE`](crate::store::FENCE_LIFE), like any entry, and an invalidation is a marker with
//! another id.

use std::time::Duration;

use futures_util::future::join_all;
use md5::{Digest as _, Md5};

use super::call::Call;
use super::invalidate::marker;
use super::timing;
use crate::events::Event;
use crate::events::trouble::Part;
use crate::payload::entry::{Container, EntryId, Kind, Written};
use crate::store::{Fence, Look, Seen, Stored};
use crate::{Error, Key};

/// The markers of a call's tags, as one look found them. Boxed, so that calls without tags do not carry them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Markers(Option<Box<Found>>);

#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Found {
    /// Of their ids; `None` where one is missing, or the look failed.
    hash: Option<u64>,
    /// For how long all of them are kept, if that was asked for.
    kept_for: Option<Duration>,
}

impl Markers {
    /// By what was found under the tags; by nothing, where the look failed.
    pub(super) fn of(tags: &[Key], found: &[Option<Stored>]) -> Self {
        if tags.is_empty() {
            return Self(None);
        }
        if found.len() < tags.len() {
            return Self(Some(Box::default()));
        }
        let id = |(tag, found): (&Key, &Option<Stored>)| id_of(tag, found.as_ref());
        let ids: Option<Vec<_>> = tags.iter().zip(found).map(id).collect();
        let left = |found: &Option<Stored>| found.as_ref()?.time_left;
        Self(Some(Box::new(Found {
            hash: ids.map(|ids| hash(&ids)),
            // One that is not known is less than any other.
            kept_for: found.iter().map(left).min().flatten(),
        })))
    }

    /// Of their ids: what an entry says that is valid under them. `None` where one is missing, or the look failed.
    pub(super) fn hash(&self) -> Option<u64> {
        self.0.as_ref().map_or(Some(0), |found| found.hash)
    }

    /// Whether they are kept for well longer than an entry that is put so long after the look.
    fn outlive(&self, lives_for: Duration, after: Duration) -> bool {
        let kept_for = self.0.as_ref().and_then(|found| found.kept_for);
        let left = kept_for.map(|kept_for| kept_for.saturating_sub(after));
        left.is_some_and(|left| left >= lives_for + lives_for / 2)
    }
}

/// The id of a marker, if what was found is one.
fn id_of(tag: &Key, found: Option<&Stored>) -> Option<EntryId> {
    let found = found.filter(|found| found.whole)?;
    let marker = Container::parse(&found.bytes).ok()?;
    let is_its =
        marker.newest.header.kind == Kind::Marker && marker.characteristic == tag.characteristic();
    is_its.then_some(marker.newest.header.id)
}

/// Zero is that of no tags.
fn hash(ids: &[EntryId]) -> u64 {
    let mut md5 = Md5::new();
    ids.iter().for_each(|id| md5.update(id.as_bytes()));
    low(md5.finalize().into()).max(1)
}

/// What makes entries with these tags others than those of the same type without: whoever does not know of the tags
/// cannot tell whether they are valid.
pub(super) fn salt(tags: &[Key]) -> u64 {
    tags.iter()
        .fold(0, |salt, tag| salt.rotate_left(1) ^ low(*tag.digest()))
}

/// The low half of a digest.
fn low(digest: [u8; 16]) -> u64 {
    u128::from_be_bytes(digest) as u64
}

impl Call {
    /// The keys of the markers of its tags.
    pub(crate) fn tags(&self) -> &[Key] {
        &self.options.rare().tags
    }

    /// Lays the markers that are missing. Of several processes that do so at once, the first one's stay.
    pub(super) async fn lay_missing_markers(&self) {
        if let Err(error) = self.try_to_lay_missing_markers().await {
            self.record(Event::Without(Part::Put, &error));
        }
    }

    async fn try_to_lay_missing_markers(&self) -> Result<(), Error> {
        let store = &self.runtime.store;
        let look = Look::up_to(self.runtime.max_value_bytes);
        let found = store.get(self.tags(), look).await?;
        let keep_for = timing::keep_for(self.ttl(), self.options.rare());
        let lay = |(tag, found): (_, &Option<Stored>)| {
            // Whatever else stands there is none of ours.
            let seen = Seen::of(found.as_ref().map(|found| &found.bytes[..]));
            let Written { bytes, lives_for } = marker(tag, timing::clamp(keep_for * 2));
            store.put(tag, bytes, lives_for, Fence::new(seen, None))
        };
        let missing = self.tags().iter().zip(&found);
        let missing = missing.filter(|(tag, found)| id_of(tag, found.as_ref()).is_none());
        let laid = join_all(missing.map(lay)).await;
        laid.into_iter().collect::<Result<Vec<_>, _>>().map(drop)
    }

    /// Sees to it that the markers outlive an entry that is put now. One that does not costs a miss.
    pub(super) async fn keep_markers(
        &self,
        markers: &Markers,
        lives_for: Duration,
        after: Duration,
    ) {
        if !self.tags().is_empty() && !markers.outlive(lives_for, after) {
            let ttl = timing::clamp(lives_for * 2);
            drop(self.runtime.store.keep(self.tags(), ttl).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::Look;

    fn found(tag: &Key, bytes: &Bytes) -> Markers {
        let stored = Stored::new(bytes.clone(), Look::up_to(usize::MAX));
        Markers::of(std::slice::from_ref(tag), &[Some(stored)])
    }

    #[test]
    fn only_all_markers_have_a_hash() {
        let [one, two] = ["one", "two"].map(Key::new);
        let ttl = Duration::from_secs(60);
        let [first, again] = [marker(&one, ttl).bytes, marker(&one, ttl).bytes];
        assert!(found(&one, &first).hash().is_some_and(|hash| hash != 0));
        assert_eq!(found(&one, &first), found(&one, &first));
        assert_ne!(found(&one, &first), found(&one, &again));
        // Another tag's marker, no marker, nothing.
        assert_eq!(found(&two, &first).hash(), None);
        assert_eq!(found(&one, &Bytes::from_static(b"anything")).hash(), None);
        let cut = Stored::new(first.clone(), Look::up_to(30));
        assert_eq!(
            Markers::of(std::slice::from_ref(&one), &[Some(cut)]).hash(),
            None
        );
        let stored = Stored::new(first, Look::up_to(usize::MAX));
        assert_eq!(Markers::of(&[one, two], &[Some(stored), None]).hash(), None);
        assert_eq!(Markers::of(&[], &[]).hash(), Some(0));
    }

    #[test]
    fn markers_outlive_what_they_are_kept_for() {
        let seconds = Duration::from_secs;
        let kept_for = |kept_for| {
            let hash = Some(1);
            Markers(Some(Box::new(Found { hash, kept_for })))
        };
        assert!(kept_for(Some(seconds(90))).outlive(seconds(60), seconds(0)));
        assert!(!kept_for(Some(seconds(90))).outlive(seconds(60), seconds(1)));
        assert!(!kept_for(None).outlive(seconds(60), seconds(0)));
    }

    #[test]
    fn the_salt_is_that_of_all_tags_in_their_order() {
        let [one, two] = ["one", "two"].map(Key::new);
        let salts = [
            salt(&[]),
            salt(std::slice::from_ref(&one)),
            salt(&[one.clone(), two.clone()]),
            salt(&[two, one]),
        ];
        assert_eq!(salts[0], 0);
        for (place, salt) in salts.iter().enumerate() {
            assert!(!salts[..place].contains(salt));
        }
    }
}
