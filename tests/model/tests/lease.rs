//! The protocol of lease rows, in every interleaving.

use model::explore::dead_end;
use model::lease::{Action, Faults, Mistake, Protocol, State};
use stateright::{Checker, Model};

const NONE: Faults = Faults::NONE;
const THREE: Protocol = Protocol {
    processes: 3,
    calls: 1,
    faults: NONE,
    mistake: None,
};
/// Two processes that call again while their last release is still under way.
const AGAIN: Protocol = Protocol {
    processes: 2,
    calls: 2,
    ..THREE
};
const LAPSE: Faults = Faults { lapses: 1, ..NONE };
/// The connection is lost, and a caller gives up meanwhile.
const CUT: Faults = Faults {
    drops: 1,
    lost_connections: 1,
    ..NONE
};
/// … and what was on the old one takes effect after all.
const LATE: Faults = Faults {
    late_statements: 1,
    ..CUT
};

const SAFE: [&str; 3] = ["newer stays", "own lease only", "released stays free"];
const LEFT_BEHIND: &str = "nothing is left behind";
const ONE_BODY: &str = "one body";

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
    let wrong = protocol.mistaken(mistake);
    let Some(path) = wrong.checker().spawn_bfs().join().discovery(property) else {
        panic!("{mistake:?} was not found");
    };
    println!("{mistake:?}: {:?}", path.into_actions());
}

fn is_found(protocol: Protocol, property: &'static str) -> bool {
    let checker = protocol.checker().spawn_bfs().join();
    checker.discovery(property).is_some()
}

/// A state from which somebody is never served, or the key never free, if there is one.
fn unserved(protocol: Protocol) -> Option<State> {
    dead_end(&protocol, State::is_over, Action::is_fault)
}

/// The same where nobody may count on a lease to run out.
fn waits_for_a_lease_to_end(protocol: Protocol) -> bool {
    let fault = |action: &Action| action.is_fault() || *action == Action::RunOut;
    dead_end(&protocol, State::is_over, fault).is_some()
}

fn assert_right(protocol: Protocol, more: &[&'static str]) {
    assert_holds(protocol, &[&SAFE[..], more].concat());
    assert!(unserved(protocol).is_none());
}

/// What a lease does not promise: two bodies do run at once. What it does: nothing newer is overwritten.
fn assert_costs_executions(protocol: Protocol) {
    assert_right(protocol, &[]);
    assert!(is_found(protocol, ONE_BODY));
}

#[test]
fn one_execution_while_leases_are_renewed() {
    for protocol in [THREE, AGAIN] {
        assert_right(protocol, &[ONE_BODY, "one execution", LEFT_BEHIND]);
    }
}

#[test]
fn failing_leaders_run_one_after_the_other() {
    let faults = Faults {
        failures: 2,
        ..NONE
    };
    for protocol in [THREE, AGAIN] {
        assert_right(protocol.with(faults), &[ONE_BODY, LEFT_BEHIND]);
    }
}

#[test]
fn a_dead_leader_costs_the_rest_of_its_lease() {
    let faults = Faults {
        crashes: 2,
        failures: 1,
        ..NONE
    };
    let protocol = THREE.with(faults);
    assert_right(protocol, &[ONE_BODY]);
    assert!(unserved(protocol.mistaken(Mistake::LeaseForEver)).is_some());
}

#[test]
fn a_lapsed_lease_costs_an_execution_and_nothing_else() {
    let faults = Faults {
        invalidations: 1,
        ..LAPSE
    };
    assert_costs_executions(THREE.with(faults));
    let faults = Faults {
        lapses: 2,
        failures: 1,
        ..faults
    };
    assert_costs_executions(Protocol { calls: 1, ..AGAIN }.with(faults));
}

#[test]
fn a_lost_row_costs_an_execution_and_nothing_else() {
    let faults = Faults {
        lost_rows: 1,
        invalidations: 1,
        ..NONE
    };
    assert_costs_executions(THREE.with(faults));
    let faults = Faults {
        lost_rows: 2,
        lapses: 1,
        ..faults
    };
    assert_costs_executions(Protocol { calls: 1, ..AGAIN }.with(faults));
}

/// Cut or stalled at every point: what was asked for is recognized, what nobody waits for is given back.
#[test]
fn a_batch_that_is_sent_again_recognizes_what_it_took() {
    assert_right(THREE.with(CUT), &[ONE_BODY, LEFT_BEHIND]);
    let faults = Faults {
        lost_connections: 2,
        ..CUT
    };
    assert_right(AGAIN.with(faults), &[ONE_BODY, LEFT_BEHIND]);
    assert!(!waits_for_a_lease_to_end(THREE.with(CUT)));
    let wrong = THREE.with(CUT).mistaken(Mistake::OwnLeaseIsBusy);
    assert!(waits_for_a_lease_to_end(wrong));
}

/// Whom a late statement leases the row to may have gone: nobody renews it.
#[test]
fn a_late_statement_costs_a_lease_and_nothing_else() {
    assert_right(THREE.with(LATE), &[ONE_BODY]);
    assert_right(AGAIN.with(LATE), &[ONE_BODY]);
    assert!(is_found(AGAIN.with(LATE), LEFT_BEHIND));
}

/// Nobody is served any more, in no process: the lease of a guard that never was is renewed for ever.
#[test]
fn the_guard_owns_the_token() {
    let wrong = AGAIN.mistaken(Mistake::NotedBeforeAnswer);
    assert!(unserved(wrong).is_none());
    let cut = Faults { drops: 0, ..CUT };
    assert!(unserved(AGAIN.with(cut)).is_none());
    assert!(unserved(wrong.with(cut)).is_some());
    assert_finds(Mistake::NotedBeforeAnswer, AGAIN.with(cut), LEFT_BEHIND);
}

#[test]
fn each_guard_has_a_token_of_its_own() {
    let protocol = AGAIN.with(LATE);
    assert_finds(Mistake::TokenOfProcess, protocol, "own lease only");
    assert_finds(Mistake::TokenOfProcess, protocol, ONE_BODY);
}

#[test]
fn what_is_granted_to_nobody_is_given_back() {
    let drops = Faults { drops: 1, ..NONE };
    assert_finds(Mistake::KeptForNobody, THREE.with(drops), LEFT_BEHIND);
}

#[test]
fn the_put_is_fenced() {
    assert_finds(Mistake::UnfencedPut, THREE.with(LAPSE), "newer stays");
}

/// The lease can run out between the look and the put. Only the store can compare and write in one step.
#[test]
fn the_token_alone_is_no_fence() {
    let mistake = Mistake::TokenLookedAtBeforePut;
    assert_finds(mistake, THREE.with(LAPSE), "newer stays");
}

#[test]
fn a_release_compares_the_token() {
    let mistake = Mistake::ReleaseWithoutToken;
    assert_finds(mistake, THREE.with(LAPSE), "own lease only");
}

#[test]
fn a_renewal_compares_the_token() {
    let mistake = Mistake::RenewWithoutToken;
    assert_finds(mistake, THREE.with(LAPSE), "own lease only");
}

/// Otherwise a free key looks taken for a whole lease.
#[test]
fn a_late_renewal_does_not_undo_the_release() {
    assert_finds(Mistake::RenewAfterRelease, THREE, "released stays free");
}

#[test]
fn a_live_lease_is_not_taken() {
    assert_finds(Mistake::TakeWhileLive, THREE, ONE_BODY);
}
