//! What a recorder sees: each call's outcome once, and gauges that return to zero. Case 56.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod outcomes;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use metrics::with_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use outcomes::{FUNCTION, SCENARIOS, work};
use worksharing::WorkSharing;

/// What was recorded by now. A recorder forgets what it shows.
#[derive(Default)]
struct Recorded {
    /// Counters and gauges, by name and labels.
    numbers: BTreeMap<String, f64>,
    /// The number of values of a histogram.
    values: BTreeMap<String, usize>,
    described: BTreeSet<String>,
}

impl Recorded {
    fn add(&mut self, snapshotter: &Snapshotter) {
        for (key, _, description, value) in snapshotter.snapshot().into_vec() {
            let key = key.key();
            let labels = key
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()));
            let name = format!("{}{:?}", key.name(), labels.collect::<Vec<_>>());
            if description.is_some() {
                self.described.insert(key.name().to_owned());
            }
            match value {
                DebugValue::Counter(count) => {
                    *self.numbers.entry(name).or_default() += count as f64
                }
                DebugValue::Gauge(change) => *self.numbers.entry(name).or_default() += change.0,
                DebugValue::Histogram(values) => {
                    *self.values.entry(name).or_default() += values.len()
                }
            }
        }
    }

    fn outcomes(&self) -> Vec<String> {
        let mut outcomes = Vec::new();
        for (name, count) in &self.numbers {
            let Some(labels) = name.strip_prefix("worksharing_requests_total") else {
                continue;
            };
            let (_, outcome) = labels.split_once("outcome=").expect("an outcome");
            let outcome = outcome.split('"').next().unwrap_or_default();
            assert!(labels.contains(&format!("function={FUNCTION}\"")), "{name}");
            outcomes.extend((0..*count as usize).map(|_| outcome.to_owned()));
        }
        outcomes
    }

    fn number(&self, name: &str) -> f64 {
        let name = format!("{name}[\"function={FUNCTION}\"]");
        self.numbers.get(&name).copied().unwrap_or_default()
    }

    fn values(&self, name: &str) -> usize {
        let name = format!("{name}[\"function={FUNCTION}\"]");
        self.values.get(&name).copied().unwrap_or_default()
    }
}

#[test]
fn each_outcome_is_recorded_once() {
    for scenario in SCENARIOS {
        let (recorder, mut recorded) = (DebuggingRecorder::new(), Recorded::default());
        let sharing = WorkSharing::in_memory();
        (scenario.run)(&sharing, &|run| with_local_recorder(&recorder, run));
        recorded.add(&recorder.snapshotter());
        assert_eq!(recorded.outcomes(), scenario.outcomes, "{}", scenario.name);
        for gauge in ["worksharing_computing", "worksharing_waiting"] {
            assert_eq!(recorded.number(gauge), 0.0, "{gauge}: {}", scenario.name);
        }
    }
}

#[test]
fn gauges_and_histograms_follow_bodies_and_waits() {
    let recorder = DebuggingRecorder::new();
    let (snapshotter, recorded) = (recorder.snapshotter(), Mutex::new(Recorded::default()));
    let number = |name: &str| {
        let mut recorded = recorded.lock().unwrap();
        recorded.add(&snapshotter);
        recorded.number(name)
    };
    let sharing = WorkSharing::in_memory();
    let body = || {
        let begun = Instant::now();
        while number("worksharing_waiting") < 1.0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody waits");
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(number("worksharing_computing"), 1.0);
        panic!("as it should");
    };
    thread::scope(|scope| {
        let (sharing, recorder, body) = (&sharing, &recorder, &body);
        let leader = scope.spawn(move || {
            with_local_recorder(recorder, || {
                let call = || work::<u32>(sharing).run_blocking(body);
                catch_unwind(AssertUnwindSafe(call)).unwrap_err();
            });
        });
        while sharing.stats().computed == 0 {
            thread::sleep(Duration::from_millis(1));
        }
        // It takes over.
        with_local_recorder(recorder, || assert_eq!(work(sharing).run_blocking(|| 2), 2));
        leader.join().unwrap();
    });
    assert_eq!(number("worksharing_computing"), 0.0);
    assert_eq!(number("worksharing_waiting"), 0.0);
    let recorded = recorded.into_inner().unwrap();
    assert_eq!(recorded.values("worksharing_compute_seconds"), 2);
    assert_eq!(recorded.values("worksharing_wait_seconds"), 1);
    assert_eq!(recorded.outcomes(), ["computed", "failed"]);
}

#[test]
fn trouble_is_counted() {
    let recorder = DebuggingRecorder::new();
    let without_store = SCENARIOS.last().expect("there are some");
    let sharing = WorkSharing::in_memory();
    (without_store.run)(&sharing, &|run| with_local_recorder(&recorder, run));
    let mut recorded = Recorded::default();
    recorded.add(&recorder.snapshotter());
    assert!(recorded.number("worksharing_store_errors_total") >= 1.0);
    assert_eq!(recorded.number("worksharing_lock_errors_total"), 0.0);
    // Something newer stands there.
    let recorder = DebuggingRecorder::new();
    with_local_recorder(&recorder, || {
        let invalidate = || work::<u32>(&sharing).invalidate_blocking().unwrap();
        work(&sharing).run_blocking(|| {
            invalidate();
            1
        });
    });
    recorded.add(&recorder.snapshotter());
    assert_eq!(recorded.number("worksharing_refused_total"), 1.0);
}

// Alone in its process under nextest; the others use recorders of their threads, which come first.
#[test]
fn recorder_of_the_process_may_come_late() {
    let sharing = WorkSharing::in_memory();
    let call = || {
        let call = || {
            let work = work(&sharing).local(Duration::from_secs(60));
            assert_eq!(work.run_blocking(|| 1), 1);
        };
        thread::scope(|scope| drop(scope.spawn(call).join()));
    };
    (0..5).for_each(|_| call());
    let recorder = DebuggingRecorder::new();
    let (snapshotter, mut recorded) = (recorder.snapshotter(), Recorded::default());
    recorder.install().unwrap();
    let begun = Instant::now();
    // By now the counters that are kept are used.
    while begun.elapsed() < Duration::from_millis(1_200) {
        call();
        thread::sleep(Duration::from_millis(10));
    }
    let calls = sharing.stats().local - 4;
    recorded.add(&snapshotter);
    assert_eq!(recorded.outcomes().len() as u64, calls);
    assert!(recorded.outcomes().iter().all(|it| it == "local"));
    assert!(recorded.described.contains("worksharing_requests_total"));
}
