//! The flow, in every interleaving.

mod detach;
mod mistakes;
mod old;
mod overflow;
mod stale;
mod tags;

use model::explore::dead_end;
use model::flow::{Action, Ask, Faults, Mistake, Protocol, State};
use stateright::{Checker, HasDiscoveries, Model};

const ALONE_EACH: Protocol = Protocol::of(&[plain(0), plain(1)]);
const TOGETHER: Protocol = Protocol::of(&[plain(0), plain(0)]);
const ONE_PROCESS: Protocol = Protocol::of(&[plain(0), plain(0), plain(0)]);
const THREE: Protocol = Protocol::of(&[plain(0), plain(0), plain(1)]);
const FOUR: Protocol = Protocol::of(&[plain(0), plain(0), plain(1), plain(1)]);
const REFRESHES: Protocol = Protocol::of(&[refresh(0), refresh(0), refresh(1)]);
const ONE_REFRESH: Protocol = Protocol::of(&[plain(0), refresh(1)]);
const MIXED: Protocol = Protocol::of(&[plain(0), refresh(0), plain(1)]);
const EVERYBODY: [Protocol; 5] = [ONE_PROCESS, THREE, FOUR, REFRESHES, MIXED];

const NONE: Faults = Faults::NONE;
const INVALIDATION: Faults = Faults {
    invalidations: 1,
    ..NONE
};
const GONE_INVALIDATION: Faults = Faults {
    evictions: 1,
    ..INVALIDATION
};
const RESENT_INVALIDATIONS: Faults = Faults {
    invalidations: 2,
    resends: 1,
    ..NONE
};

const OLDER: &str = "nothing older after an invalidation";
const REFRESH: &str = "a refresh gets what began later";
const SUPERSEDED: &str = "nothing superseded is stored";
const ONE_BODY: &str = "one body";
const WHILE_FRESH: &str = "none while fresh";
const SECOND_BODY: &str = "served by the second body";
const SAFE: [&str; 6] = [
    OLDER,
    REFRESH,
    SUPERSEDED,
    ONE_BODY,
    WHILE_FRESH,
    SECOND_BODY,
];

const fn plain(process: u8) -> Ask {
    Ask {
        process,
        refresh: false,
    }
}

const fn refresh(process: u8) -> Ask {
    Ask {
        process,
        refresh: true,
    }
}

fn assert_holds(protocol: Protocol, properties: &[&'static str]) {
    let checker = protocol.checker().spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    for property in properties {
        checker.assert_no_discovery(property);
    }
}

/// What always holds, and this.
fn assert_safe(protocol: Protocol, more: &[&'static str]) {
    assert_holds(protocol, &[&SAFE, more].concat());
}

fn finds(protocol: Protocol, property: &'static str) -> Option<Vec<Action>> {
    let found = HasDiscoveries::AnyOf([property].into());
    let checker = protocol.checker().finish_when(found).spawn_bfs().join();
    Some(checker.discovery(property)?.into_actions())
}

/// Right without the mistake, and found with it.
fn assert_finds(mistake: Mistake, protocol: Protocol, property: &'static str) {
    assert_safe(protocol, &[property]);
    let Some(path) = finds(protocol.mistaken(mistake), property) else {
        panic!("{mistake:?} was not found");
    };
    println!("{mistake:?}: {path:?}");
}

/// Everybody is served without the mistake, and not with it.
fn assert_strands(mistake: Mistake, protocol: Protocol) {
    assert!(unserved(protocol).is_none());
    assert!(
        unserved(protocol.mistaken(mistake)).is_some(),
        "{mistake:?}"
    );
}

/// A state from which somebody is never served, if there is one.
fn unserved(protocol: Protocol) -> Option<State> {
    dead_end(&protocol, State::is_over, Action::is_fault)
}

/// Over an empty store and over an old value; everybody is served.
fn assert_right(faults: Faults) {
    for callers in EVERYBODY {
        for protocol in [callers, callers.over_an_old_value()] {
            assert_holds(protocol.with(faults), &SAFE);
            assert!(unserved(protocol.with(faults)).is_none());
        }
    }
}

/// A model in which nobody ever follows would hold anything.
#[test]
fn somebody_follows() {
    for protocol in [TOGETHER, ONE_PROCESS, THREE, FOUR, REFRESHES, MIXED] {
        assert!(finds(protocol, "somebody follows").is_some());
    }
}

#[test]
fn nothing_goes_wrong_without_faults() {
    assert_right(NONE);
    for protocol in [ONE_PROCESS, THREE, FOUR] {
        assert_holds(protocol, &["one execution"]);
    }
}

#[test]
fn failures_and_unstored_outcomes_leave_nobody_behind() {
    assert_right(Faults {
        failures: 1,
        unstored: 2,
        ..NONE
    });
}

#[test]
fn dropped_and_frozen_callers_leave_nobody_behind() {
    assert_right(Faults {
        drops: 1,
        frozen: 1,
        ..NONE
    });
}

#[test]
fn entries_come_and_go() {
    assert_right(Faults {
        expiries: 1,
        evictions: 1,
        ..NONE
    });
    assert_right(Faults {
        evictions: 1,
        failed_looks: 1,
        ..NONE
    });
}

#[test]
fn an_invalidation_is_linearizable() {
    for protocol in [ONE_PROCESS, THREE, MIXED] {
        assert_holds(protocol.with(GONE_INVALIDATION), &SAFE);
    }
    let faults = Faults {
        failures: 1,
        unstored: 1,
        ..INVALIDATION
    };
    for protocol in [ONE_PROCESS, THREE, MIXED] {
        assert_holds(protocol.over_an_old_value().with(faults), &SAFE);
    }
    for protocol in [TOGETHER, ALONE_EACH, ONE_REFRESH] {
        let protocol = protocol.over_an_old_value();
        assert_holds(protocol.with(RESENT_INVALIDATIONS), &SAFE);
        assert!(unserved(protocol.with(GONE_INVALIDATION)).is_none());
    }
}

/// Two leaders at once, an invalidation between them, and everything that was newer gone again.
#[test]
fn the_overtaken_store_nothing() {
    let faults = Faults {
        lost_sessions: 1,
        ..GONE_INVALIDATION
    };
    assert_holds(TOGETHER.with(faults), &SAFE);
    for protocol in [ALONE_EACH, ONE_REFRESH] {
        let faults = Faults {
            evictions: 2,
            unstored: 1,
            ..faults
        };
        let protocol = protocol.over_an_old_value().with(faults);
        assert_holds(protocol, &SAFE);
        assert!(unserved(protocol).is_none());
    }
}

/// All saw the same entry. One that looks later cannot know when the entry that it saw was begun.
#[test]
fn refreshes_at_once_cost_two_bodies() {
    const MANY: Protocol = Protocol::of(&[refresh(0), refresh(0), refresh(1), refresh(1)]);
    const EACH: Protocol = Protocol::of(&[refresh(0), refresh(1), refresh(2), refresh(3)]);
    for protocol in [MANY, EACH].map(Protocol::over_an_old_value) {
        assert_holds(protocol.at_once(), &["two executions"]);
        assert!(finds(protocol, "two executions").is_some());
    }
}

/// Where nothing stands, nothing tells one computation from the next: each process computes.
#[test]
fn refreshes_over_nothing_cost_a_body_in_each_process() {
    const EACH: Protocol = Protocol::of(&[refresh(0), refresh(1), refresh(2)]);
    assert!(finds(EACH.at_once(), "two executions").is_some());
}
