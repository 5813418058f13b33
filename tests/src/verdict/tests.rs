use super::*;
use crate::Options;
use crate::plan::{Event, Moment, Scope};

const TTL: Duration = Duration::from_secs(1);

fn moment(at_ms: u64, pid: u32) -> Moment {
    Moment {
        at_us: at_ms * 1_000,
        pid,
        caller: 0,
        key: "k".to_owned(),
    }
}

fn call(pid: u32, at: [u64; 4], end: Result<(), ()>) -> [Event; 4] {
    let end = end
        .map(|()| "value".to_owned())
        .map_err(|()| "error".to_owned());
    [
        Event::Called(moment(at[0], pid)),
        Event::BodyBegin(moment(at[1], pid)),
        Event::BodyEnd(moment(at[2], pid), end.clone()),
        Event::Served(moment(at[3], pid), end),
    ]
}

fn judge(events: impl IntoIterator<Item = Event>, killed: &[(u32, u64)]) -> Verdict {
    judge_by(&Rules::fresh_for(TTL), events, killed)
}

fn judge_by(
    rules: &Rules,
    events: impl IntoIterator<Item = Event>,
    killed: &[(u32, u64)],
) -> Verdict {
    let killed = killed
        .iter()
        .map(|(pid, at_ms)| (*pid, at_ms * 1_000))
        .collect();
    Verdict::of(&events.into_iter().collect(), |_| rules.clone(), &killed)
}

#[test]
fn execution_after_the_expiry_is_none_too_many() {
    let events = [
        call(1, [0, 1, 100, 101], Ok(())),
        call(2, [1_100, 1_101, 1_200, 1_201], Ok(())),
    ];
    let verdict = judge(events.concat(), &[]);
    assert_eq!(
        (
            verdict.executions,
            verdict.duplicates.len(),
            verdict.unanswered
        ),
        (2, 0, 0)
    );
    assert_eq!(verdict.longest_wait, Duration::from_millis(101));
}

#[test]
fn execution_beside_another_or_within_the_ttl_is_a_duplicate() {
    for begin in [50, 1_000] {
        let second = call(2, [begin, begin, begin + 100, begin + 100], Ok(()));
        let verdict = judge([call(1, [0, 1, 100, 101], Ok(())), second].concat(), &[]);
        assert_eq!(verdict.duplicates.len(), 1, "{begin}");
    }
}

#[test]
fn execution_after_a_failure_or_a_kill_is_none_too_many() {
    let second = call(2, [0, 150, 200, 201], Ok(()));
    assert!(
        judge(
            [call(1, [0, 1, 100, 101], Err(())), second.clone()].concat(),
            &[]
        )
        .duplicates
        .is_empty()
    );
    let killed: Vec<_> = call(1, [0, 1, 0, 0], Ok(()))
        .into_iter()
        .take(2)
        .chain(second)
        .collect();
    assert!(judge(killed.clone(), &[(1, 140)]).duplicates.is_empty());
    assert_eq!(judge(killed.clone(), &[(1, 160)]).duplicates.len(), 1);
    assert_eq!(judge(killed, &[]).unanswered, 1);
}

#[test]
fn waiter_that_stirs_too_late_was_woken_late() {
    for (served, late) in [(150, 0), (400, 1)] {
        let waiter = [
            Event::Called(moment(50, 2)),
            Event::Served(moment(served, 2), Ok("value".to_owned())),
        ];
        let verdict = judge(
            call(1, [0, 1, 100, 101], Ok(())).into_iter().chain(waiter),
            &[],
        );
        assert_eq!(
            (verdict.handovers, verdict.late.len()),
            (1, late),
            "{served}"
        );
    }
    // Who was killed long ago waits for nothing.
    let dead = [Event::Called(moment(50, 2))];
    let events = call(1, [3_000, 3_001, 3_100, 3_101], Ok(()))
        .into_iter()
        .chain(dead);
    assert_eq!(judge(events, &[(2, 60)]).handovers, 0);
}

#[test]
fn late_wake_up_is_explained_only_by_as_much_standing_still() {
    let late = LateWakeUp {
        key: "k".to_owned(),
        leader: 1,
        ended: 1_000_000,
        stirred: 1_200_000,
    };
    assert!(!late.is_explained_by(&[]));
    assert!(late.is_explained_by(&[(1_000_000, 1_150_000)]));
    assert!(late.is_explained_by(&[(1_100_000, 1_400_000), (1_010_000, 1_060_000)]));
    // Beforehand, afterwards, or the same moments twice.
    assert!(!late.is_explained_by(&[(0, 1_010_000), (1_190_000, 9_000_000)]));
    assert!(!late.is_explained_by(&[(1_000_000, 1_070_000), (1_000_000, 1_070_000)]));
}

fn answered(pid: u32, at: [u64; 2], answer: &str) -> [Event; 2] {
    [
        Event::Called(moment(at[0], pid)),
        Event::Served(moment(at[1], pid), Ok(answer.to_owned())),
    ]
}

/// A body from then to then, on nobody's behalf.
fn body(pid: u32, at: [u64; 2], value: &str) -> [Event; 2] {
    [
        Event::BodyBegin(moment(at[0], pid)),
        Event::BodyEnd(moment(at[1], pid), Ok(value.to_owned())),
    ]
}

#[test]
fn options_say_when_another_body_may_begin() {
    let begun = |options: &Options, begin| {
        let events = [body(1, [0, 100], "a"), body(2, [begin, begin + 10], "b")];
        let rules = Rules::of(options, TTL);
        judge_by(&rules, events.concat(), &[]).duplicates.len()
    };
    let (plain, early) = (
        Options::default(),
        Options {
            early_refresh: Some(1.0),
            jitter: Some(Duration::from_millis(200)),
            ..Options::default()
        },
    );
    assert_eq!([1_090, 1_100].map(|begin| begun(&plain, begin)), [1, 0]);
    assert_eq!([490, 500].map(|begin| begun(&early, begin)), [1, 0]);
    let forced = Options {
        force_refresh: true,
        ..Options::default()
    };
    assert_eq!([50, 100].map(|begin| begun(&forced, begin)), [1, 0]);
    let overflows = Options {
        wait: Some(TTL),
        ..Options::default()
    };
    assert_eq!(begun(&overflows, 50), 0);
}

/// From then to then; killed before it returned where that is `None`.
fn invalidation(pid: u32, asked: u64, returned: Option<u64>) -> Vec<Event> {
    let returned = returned.map(|at| Event::Invalidated(moment(at, pid), Scope::Key, None));
    let asked = Event::Invalidating(moment(asked, pid), Scope::Key);
    std::iter::once(asked).chain(returned).collect()
}

#[test]
fn invalidated_value_keeps_nobody_from_computing() {
    for (asked, returned, duplicates) in [
        (200, Some(201), 0),
        (600, Some(601), 1),
        // It may have been done at any time.
        (50, None, 0),
        (10, Some(40), 1),
    ] {
        let mut events = [body(1, [50, 100], "a"), body(2, [500, 510], "b")].concat();
        events.extend(invalidation(3, asked, returned));
        let verdict = judge(events, &[(3, 900)]);
        assert_eq!(verdict.duplicates.len(), duplicates, "{asked} {returned:?}");
    }
}

/// What a body gave that ran from 100 to 150, to a call that began at 350, beside an invalidation.
fn from_before(asked: u64, returned: Option<u64>, end: &Result<String, String>) -> usize {
    let mut events = vec![
        Event::BodyBegin(moment(100, 1)),
        Event::BodyEnd(moment(150, 1), end.clone()),
        Event::Called(moment(350, 2)),
        Event::Served(moment(400, 2), end.clone()),
    ];
    events.extend(invalidation(3, asked, returned));
    judge(events, &[(3, 900)]).from_before.len()
}

#[test]
fn what_is_from_before_an_invalidation_is_for_those_who_asked_before_it_had_returned() {
    for (asked, returned, wrong) in [
        (200, Some(300), 1),
        (101, Some(349), 1),
        // The body may have seen the change; the call came before the return; it never returned.
        (100, Some(300), 0),
        (99, Some(300), 0),
        (200, Some(350), 0),
        (200, Some(450), 0),
        (200, None, 0),
    ] {
        for end in [Ok("a"), Err("a"), Ok(NOTHING)] {
            let end = end.map(str::to_owned).map_err(str::to_owned);
            let found = from_before(asked, returned, &end);
            assert_eq!(found, wrong, "{asked} {returned:?} {end:?}");
        }
    }
}

#[test]
fn invalidation_that_failed_has_promised_nothing() {
    let mut events = [body(1, [100, 150], "a"), answered(2, [350, 400], "a")].concat();
    let failed = Some("down".to_owned());
    events.extend([
        Event::Invalidating(moment(200, 3), Scope::Key),
        Event::Invalidated(moment(300, 3), Scope::Key, failed),
    ]);
    assert_eq!(judge(events, &[]).from_before.len(), 0);
}

#[test]
fn invalidation_of_a_tag_is_one_of_every_key_with_it() {
    for (tag, wrong) in [("its", 1), ("another", 0), ("k", 0)] {
        let of_tag = |at| Moment {
            key: tag.to_owned(),
            ..moment(at, 3)
        };
        let mut events = [body(1, [100, 150], "a"), answered(2, [350, 400], "a")].concat();
        events.extend([
            Event::Invalidating(of_tag(200), Scope::Tag),
            Event::Invalidated(of_tag(300), Scope::Tag, None),
        ]);
        let rules = Rules::of(&Options::tags(&["one", "its"]), TTL);
        let verdict = judge_by(&rules, events, &[]);
        assert_eq!(verdict.from_before.len(), wrong, "{tag}");
    }
}

/// The one that was asked for last counts, though another one returned after it.
#[test]
fn every_invalidation_that_had_returned_counts() {
    let mut events = [body(1, [200, 250], "a"), answered(2, [600, 610], "a")].concat();
    events.extend(invalidation(3, 300, Some(400)));
    events.extend(invalidation(4, 100, Some(500)));
    assert_eq!(judge(events, &[]).from_before.len(), 1);
}

#[test]
fn nothing_may_be_the_nothing_of_the_newest_body() {
    for (second, wrong) in [(310, 0), (350, 1)] {
        let mut events = body(1, [100, 150], NOTHING).to_vec();
        events.extend(body(2, [310, second], NOTHING));
        events.extend(answered(3, [320, 340], NOTHING));
        events.extend(invalidation(4, 200, Some(300)));
        assert_eq!(judge(events, &[]).from_before.len(), wrong, "{second}");
    }
}

#[test]
fn invalidation_may_take_its_time_to_reach_everybody() {
    let within = |ms| Duration::from_millis(ms);
    // The same for all, another one for what that process commits, or some other process.
    for (all, committed, wrong) in [
        (100, None, 0),
        (40, None, 1),
        (0, Some((3, within(100))), 0),
        (100, Some((3, within(40))), 1),
        (0, Some((4, within(100))), 1),
    ] {
        let mut events = [body(1, [100, 150], "a"), answered(2, [350, 400], "a")].concat();
        events.extend(invalidation(3, 200, Some(300)));
        let rules = Rules {
            reaches_within: within(all),
            committed,
            ..Rules::default()
        };
        assert_eq!(judge_by(&rules, events, &[]).from_before.len(), wrong);
    }
}

#[test]
fn refresh_is_given_what_was_computed_after_it_asked() {
    for (called, wrong) in [(50, 0), (101, 1)] {
        let events = [body(1, [100, 150], "a"), answered(2, [called, 200], "a")];
        let rules = Rules::of(
            &Options {
                force_refresh: true,
                ..Options::default()
            },
            TTL,
        );
        assert_eq!(judge_by(&rules, events.concat(), &[]).not_anew.len(), wrong);
    }
}

#[test]
fn value_comes_from_a_body_that_had_ended() {
    for (answer, ended, wrong) in [
        ("a", 150, 0),
        ("a", 350, 1),
        ("b", 150, 1),
        ("busy", 150, 0),
    ] {
        let events = [body(1, [100, ended], "a"), answered(2, [200, 300], answer)];
        let rules = Rules {
            on_timeout: Some("busy".to_owned()),
            ..Rules::fresh_for(TTL)
        };
        let verdict = judge_by(&rules, events.concat(), &[]);
        assert_eq!(verdict.from_nowhere.len(), wrong, "{answer} {ended}");
    }
}

#[test]
fn older_value_than_its_process_has_seen_is_a_step_back() {
    // Another process may not have seen it; nor may who had asked before.
    for (pid, called, wrong) in [(3, 2_000, 1), (4, 2_000, 0), (3, 1_250, 0)] {
        let events = [
            body(1, [0, 100], "a"),
            body(2, [1_200, 1_300], "b"),
            answered(3, [1_290, 1_310], "b"),
            answered(pid, [called, 2_100], "a").map(|mut event| {
                if let Event::Called(moment) | Event::Served(moment, _) = &mut event {
                    moment.caller = 1;
                }
                event
            }),
        ];
        let verdict = judge(events.concat(), &[]);
        assert_eq!(verdict.went_back.len(), wrong, "{pid} {called}");
    }
}

/// The time of a body is its own caller's.
#[test]
fn call_that_takes_longer_than_it_may_is_too_long() {
    for (served, wrong) in [(300, 0), (301, 1)] {
        let events = answered(1, [0, served], "busy");
        let rules = Rules {
            longest: Some(Duration::from_millis(300)),
            ..Rules::default()
        };
        assert_eq!(judge_by(&rules, events.clone(), &[]).too_long.len(), wrong);
        let its_body = body(1, [1, 299], "a");
        let computes = events.into_iter().chain(its_body);
        assert_eq!(judge_by(&rules, computes, &[]).too_long.len(), 0);
    }
}
