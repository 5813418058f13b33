//! Calls of many keys, in every interleaving.

use model::explore::dead_end;
use model::many::{Action, Mistake, Protocol, State};
use stateright::{Checker, Model};

const ALL: [bool; 3] = [true; 3];
/// Two callers of the same keys; a third of some of them. In one process, in two, in three.
const CROSSED: [Protocol; 3] = [
    of(&[(0, ALL), (0, ALL), (0, [true, true, false])]),
    of(&[(0, ALL), (0, ALL), (1, [true, true, false])]),
    of(&[(0, ALL), (1, ALL), (2, [false, true, true])]),
];
/// A circle: each asks for one key of its neighbour.
const CIRCLE: Protocol = of(&[
    (0, [true, true, false]),
    (1, [false, true, true]),
    (2, [true, false, true]),
]);
/// With faults there is more to try: fewer callers.
const WITH_FAULTS: [Protocol; 3] = [of(&[(0, ALL), (0, ALL)]), of(&[(0, ALL), (1, ALL)]), CIRCLE];
const PROPERTIES: [&str; 2] = ["one body at a time", "each key is computed once"];

const fn of(callers: &'static [(usize, [bool; 3])]) -> Protocol {
    Protocol {
        callers,
        failures: 0,
        drops: 0,
        mistake: None,
    }
}

/// A state from which somebody never comes to an end, if there is one.
fn stuck(protocol: Protocol) -> Option<State> {
    dead_end(&protocol, State::is_over, Action::is_fault)
}

fn assert_right(protocol: Protocol) {
    let checker = protocol.checker().spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
    assert!(stuck(protocol).is_none());
}

#[test]
fn each_key_is_computed_once_and_everybody_is_served() {
    CROSSED.into_iter().chain([CIRCLE]).for_each(assert_right);
}

#[test]
fn whatever_fails_and_whoever_goes() {
    for protocol in WITH_FAULTS {
        assert_right(Protocol {
            failures: 1,
            drops: 1,
            ..protocol
        });
    }
}

#[test]
fn who_holds_while_it_waits_waits_for_ever() {
    for protocol in CROSSED.into_iter().chain([CIRCLE]) {
        let wrong = Protocol {
            mistake: Some(Mistake::WaitsFirst),
            ..protocol
        };
        assert!(stuck(wrong).is_some(), "{wrong:?}");
    }
}

#[test]
fn a_body_of_what_others_lead_is_one_too_many() {
    for protocol in CROSSED {
        let wrong = Protocol {
            mistake: Some(Mistake::ComputesWhatOthersLead),
            ..protocol
        };
        let checker = wrong.checker().spawn_bfs().join();
        for property in PROPERTIES {
            checker.assert_any_discovery(property);
        }
    }
}

#[test]
fn who_goes_leaves_no_lead_behind() {
    let protocol = Protocol {
        drops: 1,
        ..WITH_FAULTS[0]
    };
    assert_right(protocol);
    let wrong = Protocol {
        mistake: Some(Mistake::LeavesLeadsBehind),
        ..protocol
    };
    assert!(stuck(wrong).is_some());
}
