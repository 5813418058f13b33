//! What may happen next.

use super::store::can_watch;
use super::{At, Protocol, State, detach, flight, overflow, stale, steps, store};

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A caller, or the task that leads for it, takes its next step.
    Step(usize),
    /// With [`JoinsOlderLook`](super::Mistake): the first takes the answer of the second's look.
    ShareLook(usize, usize),
    /// With mistakes that keep something in the process: a caller is given it.
    Remember(usize),
    /// A caller of a process that backs off after a failure returns the expired value that its look found.
    ServeOld(usize),
    /// The leader looks at the entry's id while its body runs.
    Watch(usize),
    /// The successor has not taken up the lead: this follower is named instead.
    Renew(usize),
    /// An invalidation returns, called by somebody else or in this process.
    Return(usize, Option<usize>),
    /// A caller's first look fails.
    FailLook(usize),
    /// A fresh hit refreshes.
    RefreshEarly(usize),
    /// A body ends in something that is not stored.
    EndUnstored(usize),
    /// A body fails.
    Fail(usize),
    /// A caller has waited for too long.
    TimeOut(usize),
    /// A caller is dropped.
    Drop(usize),
    /// A task is dropped.
    Die(usize),
    /// A caller is polled no more.
    Freeze(usize),
    /// The lock session of the holder is lost.
    LoseSession,
    /// `invalidate` lays its tombstone.
    Invalidate,
    /// `invalidate_tag` lays another marker.
    InvalidateTag,
    /// An invalidation's tombstone or marker is sent again.
    Resend(usize),
    /// A leader of another key with the tag lays a marker.
    LayElsewhere,
    /// … and sends it again.
    LayElsewhereAgain,
    /// The value gets older.
    Expire,
    /// The entry is gone.
    Evict,
    /// The marker is gone.
    LoseMarker,
}

impl Action {
    /// Whether nobody may count on it to happen.
    pub fn is_fault(&self) -> bool {
        use Action::{Remember, Renew, Return, ServeOld, ShareLook, Step, Watch};
        !matches!(
            self,
            Step(_) | ShareLook(..) | Remember(_) | ServeOld(_) | Watch(_) | Renew(_) | Return(..)
        )
    }
}

pub(super) fn enabled(protocol: &Protocol, state: &State, actions: &mut Vec<Action>) {
    for i in 0..state.actors.len() {
        of_actor(protocol, state, i, actions);
    }
    let faults = state.faults;
    let mut may = |condition: bool, action: Action| actions.extend(condition.then_some(action));
    for nth in 0..state.invalidating.len() {
        may(true, Action::Return(nth, None));
        // Of a tag, followers see for themselves.
        let is_led = |process| {
            let of_tag = state.invalidating[nth].of_tag;
            !of_tag && flight::is_under_way(protocol, state, process)
        };
        for process in (0..state.processes.len()).filter(|&process| is_led(process)) {
            may(true, Action::Return(nth, Some(process)));
        }
        may(faults.resends > 0, Action::Resend(nth));
    }
    let may_lose = state.lock.is_some() && faults.lost_sessions > 0;
    may(may_lose, Action::LoseSession);
    may(faults.invalidations > 0, Action::Invalidate);
    may(faults.tag_invalidations > 0, Action::InvalidateTag);
    let may_lose = state.marker.is_some() && faults.lost_markers > 0;
    may(may_lose, Action::LoseMarker);
    let may_lay = state.marker.is_none() && faults.laid_elsewhere > 0;
    may(may_lay, Action::LayElsewhere);
    may(state.laid_elsewhere.is_some(), Action::LayElsewhereAgain);
    let may_expire = store::can_expire(state) && faults.expiries > 0;
    may(may_expire, Action::Expire);
    may(state.store.is_some() && faults.evictions > 0, Action::Evict);
}

fn of_actor(protocol: &Protocol, state: &State, i: usize, actions: &mut Vec<Action>) {
    let (actor, faults) = (&state.actors[i], state.faults);
    let mut may = |condition: bool, action: Action| actions.extend(condition.then_some(action));
    may(steps::can_step(protocol, state, i), Action::Step(i));
    may(can_watch(protocol, state, i), Action::Watch(i));
    may(flight::can_renew(protocol, state, i), Action::Renew(i));
    let is_body = actor.at == At::Body;
    may(is_body && faults.unstored > 0, Action::EndUnstored(i));
    may(is_body && faults.failures > 0, Action::Fail(i));
    if protocol.is_task(i) {
        let may_die = detach::can_die(actor) && faults.deaths > 0;
        return may(may_die, Action::Die(i));
    }
    may(steps::can_drop(actor) && faults.drops > 0, Action::Drop(i));
    let waits = matches!(actor.at, At::Follow | At::Successor) && !actor.frozen;
    may(waits && faults.frozen > 0, Action::Freeze(i));
    let may_time_out = overflow::can_time_out(protocol, state, i) && faults.timeouts > 0;
    may(may_time_out, Action::TimeOut(i));
    may(
        stale::can_serve_old(protocol, state, i),
        Action::ServeOld(i),
    );
    let may_be_early = stale::is_fresh_hit(actor) && faults.early > 0;
    may(may_be_early, Action::RefreshEarly(i));
    if actor.at == At::Ask {
        may(faults.failed_looks > 0, Action::FailLook(i));
        let remembered = state.processes[protocol.process(i)].remembered;
        may(remembered.is_some(), Action::Remember(i));
        for j in 0..protocol.callers.len() {
            let shares = steps::can_share_look(protocol, state, i, j);
            may(shares, Action::ShareLook(i, j));
        }
    }
}

pub(super) fn spend(faults: &mut super::Faults, action: Action) {
    let left = match action {
        Action::FailLook(_) => &mut faults.failed_looks,
        Action::RefreshEarly(_) => &mut faults.early,
        Action::EndUnstored(_) => &mut faults.unstored,
        Action::Fail(_) => &mut faults.failures,
        Action::TimeOut(_) => &mut faults.timeouts,
        Action::Drop(_) => &mut faults.drops,
        Action::Die(_) => &mut faults.deaths,
        Action::Freeze(_) => &mut faults.frozen,
        Action::LoseSession => &mut faults.lost_sessions,
        Action::Invalidate => &mut faults.invalidations,
        Action::InvalidateTag => &mut faults.tag_invalidations,
        Action::LayElsewhere => &mut faults.laid_elsewhere,
        Action::LoseMarker => &mut faults.lost_markers,
        Action::Resend(_) => &mut faults.resends,
        Action::Expire => &mut faults.expiries,
        Action::Evict => &mut faults.evictions,
        _ => return,
    };
    *left -= 1;
}
