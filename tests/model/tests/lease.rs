//! The protocol of lease rows, in every interleaving.

use model::explore::dead_end;
use model::lease::{Action, Faults, Mistake, Protocol, State};
use stateright::{Checker, Model};

const NO_FAULTS: Faults = Faults {
    crashes: 0,
    lapses: 0,
    lost_rows: 0,
    failures: 0,
    invalidations: 0,
};
const THREE: Protocol = Protocol {
    processes: 3,
    faults: NO_FAULTS,
    mistake: None,
};

const SAFE: [&str; 4] = [
    "newer stays",
    "tokens grow",
    "own lease only",
    "released stays free",
];

fn assert_holds(protocol: Protocol, properties: &[&'static str]) {
    let checker = protocol.checker().spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    for property in properties {
        checker.assert_no_discovery(property);
    }
}

/// Right without the mistake, and found with it.
fn assert_finds(mistake: Mistake, protocol: Protocol, property: &'static str) {
    assert_holds(protocol, &[property]);
    let wrong = Protocol {
        mistake: Some(mistake),
        ..protocol
    };
    let Some(path) = wrong.checker().spawn_bfs().join().discovery(property) else {
        panic!("{mistake:?} was not found");
    };
    println!("{mistake:?}: {:?}", path.into_actions());
}

fn is_found(protocol: Protocol, property: &'static str) -> bool {
    protocol
        .checker()
        .spawn_bfs()
        .join()
        .discovery(property)
        .is_some()
}

fn unserved(protocol: Protocol) -> Option<State> {
    dead_end(&protocol, State::is_over, Action::is_fault)
}

#[test]
fn one_execution_while_leases_are_renewed() {
    assert_holds(THREE, &[&SAFE[..], &["one body", "one execution"]].concat());
    assert!(unserved(THREE).is_none());
}

#[test]
fn failing_leaders_run_one_after_the_other() {
    let protocol = Protocol {
        faults: Faults {
            failures: 2,
            ..NO_FAULTS
        },
        ..THREE
    };
    assert_holds(protocol, &[&SAFE[..], &["one body"]].concat());
    assert!(unserved(protocol).is_none());
}

#[test]
fn a_dead_leader_costs_the_rest_of_its_lease() {
    let protocol = Protocol {
        faults: Faults {
            crashes: 2,
            failures: 1,
            ..NO_FAULTS
        },
        ..THREE
    };
    assert_holds(protocol, &[&SAFE[..], &["one body"]].concat());
    assert!(unserved(protocol).is_none());
    let for_ever = Protocol {
        mistake: Some(Mistake::LeaseForEver),
        ..protocol
    };
    assert!(unserved(for_ever).is_some());
}

/// What a lease does not promise: two bodies do run at once. What it does: nothing newer is overwritten.
#[test]
fn a_lapsed_lease_costs_an_execution_and_nothing_else() {
    let faults = Faults {
        lapses: 1,
        invalidations: 1,
        ..NO_FAULTS
    };
    assert_costs_executions(Protocol { faults, ..THREE });
    let faults = Faults {
        lapses: 2,
        failures: 1,
        ..faults
    };
    assert_costs_executions(Protocol {
        faults,
        processes: 2,
        ..THREE
    });
}

#[test]
fn a_lost_row_costs_an_execution_and_nothing_else() {
    let faults = Faults {
        lost_rows: 1,
        invalidations: 1,
        ..NO_FAULTS
    };
    assert_costs_executions(Protocol { faults, ..THREE });
    let faults = Faults {
        lost_rows: 2,
        lapses: 1,
        ..faults
    };
    assert_costs_executions(Protocol {
        faults,
        processes: 2,
        ..THREE
    });
}

fn assert_costs_executions(protocol: Protocol) {
    assert_holds(protocol, &SAFE);
    assert!(is_found(protocol, "one body"));
    assert!(unserved(protocol).is_none());
}

#[test]
fn the_put_is_fenced() {
    let protocol = Protocol {
        faults: Faults {
            lapses: 1,
            ..NO_FAULTS
        },
        ..THREE
    };
    assert_finds(Mistake::UnfencedPut, protocol, "newer stays");
}

/// The lease can run out between the look and the put. Only the store can compare and write in one step.
#[test]
fn the_token_alone_is_no_fence() {
    let protocol = Protocol {
        faults: Faults {
            lapses: 1,
            ..NO_FAULTS
        },
        ..THREE
    };
    assert_finds(Mistake::TokenLookedAtBeforePut, protocol, "newer stays");
}

#[test]
fn a_new_row_does_not_begin_at_one() {
    let protocol = Protocol {
        faults: Faults {
            lost_rows: 1,
            ..NO_FAULTS
        },
        ..THREE
    };
    assert_finds(Mistake::TokenBeginsAtOne, protocol, "tokens grow");
    assert_finds(Mistake::TokenBeginsAtOne, protocol, "own lease only");
}

#[test]
fn a_release_compares_the_token() {
    let protocol = Protocol {
        faults: Faults {
            lapses: 1,
            ..NO_FAULTS
        },
        ..THREE
    };
    assert_finds(Mistake::ReleaseWithoutToken, protocol, "own lease only");
}

#[test]
fn a_renewal_compares_the_token() {
    let protocol = Protocol {
        faults: Faults {
            lapses: 1,
            ..NO_FAULTS
        },
        ..THREE
    };
    assert_finds(Mistake::RenewWithoutToken, protocol, "own lease only");
}

/// Otherwise a free key looks taken for a whole lease.
#[test]
fn a_late_renewal_does_not_undo_the_release() {
    assert_finds(Mistake::RenewAfterRelease, THREE, "released stays free");
}

#[test]
fn a_live_lease_is_not_taken() {
    assert_finds(Mistake::TakeWhileLive, THREE, "one body");
}
