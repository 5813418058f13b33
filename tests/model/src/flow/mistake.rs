//! What can be built wrongly.

/// One deviation from the protocol. Each must make a property fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A landing serves every follower, whatever it saw and whenever it joined.
    LandsForAll,
    /// A follower that joined after the leader's look was sent, but before it was answered, counts as early.
    EarlyUntilAnswered,
    /// A follower whose look failed is served as one that saw nothing.
    FailedLookIsNothing,
    /// A follower that saw nothing is served by a leader that was overtaken.
    OvertakenLeaderServes,
    /// A caller takes the answer of a look that was sent before it asked.
    JoinsOlderLook,
    /// An entry is gone before it has stood for `fence_life`.
    ShortLivedEntry,
    /// A tombstone that is sent again has its old id.
    TombstoneKeepsId,
    /// The leader does not look while its body runs, and puts over nothing however long ago it looked.
    NoFenceWatch,
    /// A look that finds nothing after a gap longer than `fence_life` makes up for the gap.
    GapForgiven,
    /// A put that was sent in time takes effect however late.
    LatePut,
    /// The put stores, whatever stands there.
    UnfencedPut,
    /// Only an outcome that was stored is landed; after any other the next one computes.
    OnlyStoredLands,
    /// An outcome that is not stored is kept in the process, for later callers.
    UnstoredKept,
    /// The leader computes without having looked under the lock.
    NoLookUnderLock,
    /// A refresh that follows is served by a computation that was under way when it joined.
    RefreshTakesOlder,
    /// A refresh takes each entry that is not the one it saw, also if that was begun beside it.
    RefreshIgnoresBasedOn,
    /// A refresh that saw nothing takes an entry that is based on something.
    RefreshTrustsNothing,
    /// A successor that does not take up the lead is waited for.
    SuccessorNotRenewed,
    /// A detached task ends with the caller that began it.
    TaskDiesWithCaller,
    /// A task that dies keeps its place in the flight.
    DeadTaskLeads,
    /// A stale hit follows whoever leads.
    StaleHitFollows,
    /// Who refreshes waits for the lock.
    RefresherWaits,
    /// Who refreshes does without the lock where it is busy.
    RefresherNeedsNoLock,
    /// Who refreshes, and finds the lock busy, leaves its followers without a leader.
    RefresherLeavesFollowers,
    /// An early refresh takes any fresh entry that it finds under the lock, also the one it is to replace.
    EarlyTakesWhatItSaw,
    /// A computation that fails removes the old value.
    FailureRemoves,
    /// An old value that was served is kept in the process, and served to later callers without a look.
    OldServedFromMemory,
    /// `stale_if_error` lands the old value like a computation.
    OldLandsAsComputed,
    /// What was found, or is old, serves who joined late and saw nothing.
    FoundServesWhoSawNothing,
    /// A marker that is missing counts as the one under which an entry was begun.
    MissingMarkerMatches,
    /// A value is put with the marker that stands there by then.
    MarkerReadAtPut,
    /// A marker that is missing is laid when the value is put, not before the body begins.
    MarkerLaidAfterwards,
    /// A landing does not look at the markers that followers saw.
    MarkersNotCompared,
    /// An entry under another marker is stale.
    OtherMarkerIsStale,
    /// … and of use in place of a failure.
    OtherMarkerIsOld,
    /// A marker that an invalidation sends again has its old id.
    MarkerKeepsId,
    /// A marker is gone before it has stood for `fence_life`.
    ShortLivedMarker,
    /// Each caller that has waited for too long computes by itself.
    OverflowForEach,
    /// An invalidation lets later callers begin another overflow flight.
    OverflowSuperseded,
    /// A caller that has waited for too long computes beside its process's detached body.
    OverflowBesideDetached,
    /// A leader that has waited for too long leaves its followers without a leader.
    OverflowLeavesFollowers,
}
