use super::*;
use crate::plan::{Event, Moment};

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
    let killed = killed
        .iter()
        .map(|(pid, at_ms)| (*pid, at_ms * 1_000))
        .collect();
    Verdict::of(&events.into_iter().collect(), TTL, &killed)
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
