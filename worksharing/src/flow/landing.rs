//! Who is served by what a leader lands: the landing rule, as pure functions.

use bytes::Bytes;

use crate::payload::entry::{EntryId, Written};
use crate::policy::SharedError;

/// What one is given who waited for a computation, or for a look under the lock.
pub(crate) enum Outcome {
    /// An entry, to be decoded: stored or not.
    Entry(Bytes),
    Error(SharedError),
}

/// What there is for all of them.
pub(crate) enum Outcomes {
    /// One entry for all.
    Entry(Bytes),
    /// An error for each.
    Errors(Vec<SharedError>),
}

impl Outcomes {
    /// This entry for all, or nothing.
    pub(crate) fn of(entry: Option<&Written>) -> Self {
        match entry {
            Some(entry) => Self::Entry(entry.bytes.clone()),
            None => Self::Errors(Vec::new()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Errors(errors) if errors.is_empty())
    }

    /// That for the next one, if there is any left.
    pub(crate) fn next(&mut self) -> Option<Outcome> {
        match self {
            Self::Entry(bytes) => Some(Outcome::Entry(bytes.clone())),
            Self::Errors(errors) => errors.pop().map(Outcome::Error),
        }
    }
}

/// What one who joins a flight has seen in the store before: `None` where that look failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joiner {
    pub(crate) saw: Option<EntryId>,
    /// The hash of its tags' markers; `None` where one was missing, too.
    pub(crate) tags: Option<u64>,
    /// It wants what was computed after it asked.
    pub(crate) refresh: bool,
    /// It takes an older value in place of an error.
    pub(crate) takes_older: bool,
}

/// How a lead ends: what there is for those who waited, and where that comes from.
pub(crate) struct Landing {
    pub(crate) outcomes: Outcomes,
    /// The number of the look under the lock.
    pub(crate) look: u64,
    /// The hash of the tags' markers that the leader saw in it.
    pub(crate) tags: Option<u64>,
    pub(crate) origin: Origin,
}

/// Where an outcome comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// It was found in the store, in the entry of this id. `based_on`: what its leader had seen, if it is not older than
    /// the entry, because it was carried along.
    Found {
        id: EntryId,
        based_on: Option<EntryId>,
    },
    /// It has stood there all the time, past its time to live, and the computation failed.
    Older { id: EntryId },
    /// It was computed by a leader that had seen this; `None` where its look failed, or where something else was
    /// seen there since.
    Computed { seen: Option<EntryId> },
}

impl Landing {
    /// The landing rule. `early`: the follower joined before the leader's look under the lock was sent, so whatever
    /// was there when it asked, the leader has seen that or something newer.
    ///
    /// Who came later is served if its own look found what the leader found or, of a computation, what the leader's
    /// fence allows, and the same markers: then nothing has changed between the two looks. Its own look came after it
    /// asked, so an invalidation before that would have been seen.
    pub(crate) fn serves(&self, joiner: &Joiner, early: bool) -> bool {
        let saw = joiner
            .saw
            .filter(|_| joiner.tags.is_some() && joiner.tags == self.tags);
        match self.origin {
            Origin::Found { id, based_on } if joiner.refresh => {
                early && is_newer(joiner.saw, id, based_on)
            }
            Origin::Computed { .. } if joiner.refresh => early,
            // Who saw nothing came, perhaps, after what superseded it had gone.
            Origin::Older { id } => {
                joiner.takes_older && !joiner.refresh && (early || saw == Some(id))
            }
            Origin::Found { id, .. } => early || saw == Some(id),
            Origin::Computed { seen } => early || allows(seen, saw),
        }
    }
}

/// Whether an entry was computed after a look that saw `saw`: what its leader saw was newer than that already. Who saw
/// nothing cannot tell: what the leader saw may have gone before. Nor can be told of what was carried along, which is
/// older than what carries it.
pub(crate) fn is_newer(saw: Option<EntryId>, id: EntryId, based_on: Option<EntryId>) -> bool {
    let (Some(saw), Some(based_on)) = (saw, based_on) else {
        return false;
    };
    saw != EntryId::NONE && saw != id && saw != based_on
}

/// Whether a fence of `fence` lets something be put over `saw`.
fn allows(fence: Option<EntryId>, saw: Option<EntryId>) -> bool {
    match (fence, saw) {
        (Some(fence), Some(saw)) => saw == fence || saw == EntryId::NONE,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serves(origin: Origin, saw: Option<EntryId>, refresh: bool, early: bool) -> bool {
        let landing = Landing {
            outcomes: Outcomes::Entry(Bytes::new()),
            look: 1,
            tags: Some(0),
            origin,
        };
        let joiner = Joiner {
            saw,
            tags: Some(0),
            refresh,
            takes_older: true,
        };
        landing.serves(&joiner, early)
    }

    #[test]
    fn the_landing_rule() {
        let [x, y, z] = [(); 3].map(|()| EntryId::random());
        let nothing = EntryId::NONE;
        let computed = |seen| Origin::Computed { seen };
        let found = |id, based_on| Origin::Found {
            id,
            based_on: Some(based_on),
        };
        let older = Origin::Older { id: x };
        for (origin, saw, early, expected) in [
            // Early: whatever was seen, and if the follower's look or the leader's failed.
            (computed(Some(x)), Some(y), true, true),
            (computed(None), None, true, true),
            (found(x, y), Some(z), true, true),
            // Late: the same, or nothing.
            (computed(Some(x)), Some(x), false, true),
            (computed(Some(x)), Some(nothing), false, true),
            (computed(Some(nothing)), Some(nothing), false, true),
            (found(x, y), Some(x), false, true),
            // Late, and something came between: an invalidation, say.
            (computed(Some(x)), Some(y), false, false),
            (computed(Some(nothing)), Some(y), false, false),
            (found(x, y), Some(y), false, false),
            (found(x, y), Some(nothing), false, false),
            (older, Some(y), true, true),
            (older, Some(x), false, true),
            (older, Some(y), false, false),
            (older, Some(nothing), false, false),
            // Late, and a look failed, or the fence does not hold any more.
            (computed(Some(x)), None, false, false),
            (computed(None), Some(nothing), false, false),
        ] {
            assert_eq!(
                serves(origin, saw, false, early),
                expected,
                "{origin:?} {saw:?} {early}"
            );
        }
    }

    #[test]
    fn a_refresh_takes_what_was_begun_after_it_asked() {
        let [x, y, z] = [(); 3].map(|()| EntryId::random());
        let computed = Origin::Computed { seen: Some(x) };
        let found = Origin::Found {
            id: x,
            based_on: Some(y),
        };
        let carried = Origin::Found {
            id: x,
            based_on: None,
        };
        for (origin, saw, early, expected) in [
            (computed, Some(x), true, true),
            (computed, None, true, true),
            (computed, Some(x), false, false),
            (found, Some(z), true, true),
            (found, Some(x), true, false),
            (found, Some(y), true, false),
            (found, None, true, false),
            (found, Some(EntryId::NONE), true, false),
            (found, Some(z), false, false),
            (carried, Some(z), true, false),
            // What was computed before it asked is never for it.
            (Origin::Older { id: x }, Some(z), true, false),
        ] {
            assert_eq!(
                serves(origin, saw, true, early),
                expected,
                "{origin:?} {saw:?} {early}"
            );
        }
    }

    #[test]
    fn who_came_later_must_have_seen_the_same_markers() {
        let id = EntryId::random();
        let origins = [
            Origin::Computed { seen: Some(id) },
            Origin::Found { id, based_on: None },
            Origin::Older { id },
        ];
        for origin in origins {
            for (leader, joiner, expected) in [
                (Some(1), Some(1), true),
                (Some(1), Some(2), false),
                (Some(1), None, false),
                (None, Some(1), false),
                (None, None, false),
            ] {
                let landing = Landing {
                    outcomes: Outcomes::Entry(Bytes::new()),
                    look: 1,
                    tags: leader,
                    origin,
                };
                let joiner = Joiner {
                    saw: Some(id),
                    tags: joiner,
                    refresh: false,
                    takes_older: true,
                };
                assert_eq!(
                    landing.serves(&joiner, false),
                    expected,
                    "{landing_of:?}",
                    landing_of = (origin, leader, joiner.tags)
                );
                assert!(landing.serves(&joiner, true));
            }
        }
    }

    #[test]
    fn an_older_value_is_for_those_who_take_one() {
        let id = EntryId::random();
        let landing = Landing {
            outcomes: Outcomes::Entry(Bytes::new()),
            look: 1,
            tags: Some(0),
            origin: Origin::Older { id },
        };
        for takes_older in [true, false] {
            let joiner = Joiner {
                saw: Some(id),
                tags: Some(0),
                refresh: false,
                takes_older,
            };
            assert_eq!(landing.serves(&joiner, true), takes_older);
        }
    }
}
