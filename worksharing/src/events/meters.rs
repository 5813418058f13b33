//! The metrics of a function, by the facade `metrics`; without that feature, nothing.

#[cfg(not(feature = "metrics"))]
pub(crate) use self::none::{Described, Meters, Timed};
#[cfg(feature = "metrics")]
pub(crate) use self::some::{Described, Meters, Timed};

#[cfg(not(feature = "metrics"))]
mod none {
    use std::sync::Arc;

    use crate::events::outcome::Outcome;
    use crate::events::trouble::Part;

    #[derive(Default)]
    pub(crate) struct Described;

    pub(crate) struct Meters;

    /// Nothing is measured.
    pub(crate) struct Timed;

    impl Timed {
        pub(crate) const NONE: Self = Self;
    }

    impl Meters {
        pub(crate) fn new(_name: &'static str, _described: &Arc<Described>) -> Self {
            Self
        }

        pub(crate) fn ended(&self, _outcome: Outcome) {}

        pub(crate) fn failed(&self, _part: Part<'_>) {}

        pub(crate) fn refused(&self) {}

        pub(crate) fn waiting(&self) -> Timed {
            Timed
        }

        pub(crate) fn computing(&self) -> Timed {
            Timed
        }
    }
}

#[cfg(feature = "metrics")]
mod some {
    use std::ptr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, OnceLock};
    use std::time::{Duration, Instant};

    use metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder, Unit, with_recorder};

    use crate::background;
    use crate::events::outcome::Outcome;
    use crate::events::trouble::Part;

    static METADATA: Metadata<'_> = Metadata::new("worksharing", Level::INFO, Some("worksharing"));

    const REQUESTS: &str = "worksharing_requests_total";
    const COMPUTE_SECONDS: &str = "worksharing_compute_seconds";
    const WAIT_SECONDS: &str = "worksharing_wait_seconds";
    const COMPUTING: &str = "worksharing_computing";
    const WAITING: &str = "worksharing_waiting";
    const STORE_ERRORS: &str = "worksharing_store_errors_total";
    const LOCK_ERRORS: &str = "worksharing_lock_errors_total";
    const REFUSED: &str = "worksharing_refused_total";

    fn describe(recorder: &dyn Recorder) {
        for (name, text) in [
            (REQUESTS, "Calls that were answered, by how"),
            (STORE_ERRORS, "Steps that had to do without the store"),
            (LOCK_ERRORS, "Steps that had to do without the lock"),
            (
                REFUSED,
                "Values not stored because something newer stood there",
            ),
        ] {
            recorder.describe_counter(name.into(), Some(Unit::Count), text.into());
        }
        for (name, text) in [
            (COMPUTE_SECONDS, "How long bodies ran"),
            (WAIT_SECONDS, "How long calls waited for others"),
        ] {
            recorder.describe_histogram(name.into(), Some(Unit::Seconds), text.into());
        }
        for (name, text) in [
            (COMPUTING, "Bodies that run now"),
            (WAITING, "Calls that wait for others now"),
        ] {
            recorder.describe_gauge(name.into(), Some(Unit::Count), text.into());
        }
    }

    /// The recorder that was told last what the metrics mean, by its address.
    #[derive(Default)]
    pub(crate) struct Described(AtomicUsize);

    /// A function's metrics. A recorder is asked for a counter once, if it is the one of the whole process; others come
    /// and go, and are asked each time.
    pub(crate) struct Meters {
        requests: [Key; 8],
        errors: [Key; 2],
        refused: Key,
        compute_seconds: Key,
        wait_seconds: Key,
        computing: Key,
        waiting: Key,
        of_process: OnceLock<[Counter; 8]>,
        described: Arc<Described>,
    }

    /// The recorder of the whole process, by its address, once it is known; zero before. It is never another one.
    static OF_PROCESS: AtomicUsize = AtomicUsize::new(0);
    /// How often at most it is looked for.
    const LOOK: Duration = Duration::from_secs(1);

    fn address(recorder: &dyn Recorder) -> usize {
        // One without a size has no address of its own.
        match size_of_val(recorder) {
            0 => 0,
            _ => ptr::from_ref(recorder).cast::<()>().addr(),
        }
    }

    /// A thread's recorder cannot be told from that of the process; but the background thread has none of its own.
    fn look_for_recorder() {
        static LOOKED: Mutex<Option<Instant>> = Mutex::new(None);
        let Ok(mut looked) = LOOKED.try_lock() else {
            return;
        };
        let is_recent = looked.is_some_and(|looked| looked.elapsed() < LOOK);
        if !is_recent && OF_PROCESS.load(Ordering::Relaxed) == 0 {
            *looked = Some(Instant::now());
            drop(looked);
            background::after(Duration::ZERO, || {
                OF_PROCESS.store(with_recorder(address), Ordering::Relaxed);
            });
        }
    }

    impl Meters {
        pub(crate) fn new(name: &'static str, described: &Arc<Described>) -> Self {
            let of = |metric: &'static str| {
                Key::from_parts(metric, vec![Label::from_static_parts("function", name)])
            };
            let requests = Outcome::ALL.map(|outcome| {
                let labels = [("function", name), ("outcome", outcome.name())];
                let labels = labels.map(|(label, value)| Label::from_static_parts(label, value));
                Key::from_parts(REQUESTS, labels.to_vec())
            });
            Self {
                requests,
                errors: [of(STORE_ERRORS), of(LOCK_ERRORS)],
                refused: of(REFUSED),
                compute_seconds: of(COMPUTE_SECONDS),
                wait_seconds: of(WAIT_SECONDS),
                computing: of(COMPUTING),
                waiting: of(WAITING),
                of_process: OnceLock::new(),
                described: Arc::clone(described),
            }
        }

        pub(crate) fn ended(&self, outcome: Outcome) {
            with_recorder(|recorder| {
                let address = address(recorder);
                if address != 0 && OF_PROCESS.load(Ordering::Relaxed) == address {
                    self.of_process(recorder)[outcome.place()].increment(1);
                } else {
                    self.of_any(recorder, address, &self.requests[outcome.place()]);
                }
            });
        }

        fn of_process(&self, recorder: &dyn Recorder) -> &[Counter; 8] {
            self.of_process.get_or_init(|| {
                self.describe(recorder, address(recorder));
                let counter = |place: usize| {
                    let key = &self.requests[place];
                    recorder.register_counter(key, &METADATA)
                };
                std::array::from_fn(counter)
            })
        }

        #[cold]
        fn of_any(&self, recorder: &dyn Recorder, address: usize, key: &Key) {
            if address != 0 {
                self.describe(recorder, address);
                look_for_recorder();
            }
            recorder.register_counter(key, &METADATA).increment(1);
        }

        fn describe(&self, recorder: &dyn Recorder, address: usize) {
            if self.described.0.swap(address, Ordering::Relaxed) != address {
                describe(recorder);
            }
        }

        fn count(&self, key: &Key) {
            with_recorder(|recorder| self.of_any(recorder, address(recorder), key));
        }

        pub(crate) fn failed(&self, part: Part<'_>) {
            let [store, lock] = &self.errors;
            self.count(match part {
                Part::Look | Part::Put => store,
                Part::Lock(_) => lock,
            });
        }

        pub(crate) fn refused(&self) {
            self.count(&self.refused);
        }

        pub(crate) fn waiting(&self) -> Timed {
            Timed::begin(&self.waiting, &self.wait_seconds)
        }

        pub(crate) fn computing(&self) -> Timed {
            Timed::begin(&self.computing, &self.compute_seconds)
        }
    }

    /// Something that is under way until this is dropped, however that comes about. Boxed for the futures that carry it.
    pub(crate) struct Timed(Option<Box<UnderWay>>);

    struct UnderWay {
        gauge: Gauge,
        begun: Instant,
        seconds: Key,
    }

    impl Timed {
        pub(crate) const NONE: Self = Self(None);

        fn begin(gauge: &Key, seconds: &Key) -> Self {
            let gauge = with_recorder(|recorder| {
                (address(recorder) != 0).then(|| recorder.register_gauge(gauge, &METADATA))
            });
            Self(gauge.map(|gauge| {
                gauge.increment(1);
                Box::new(UnderWay {
                    gauge,
                    begun: Instant::now(),
                    seconds: seconds.clone(),
                })
            }))
        }
    }

    impl Drop for Timed {
        fn drop(&mut self) {
            let Some(it) = self.0.take() else { return };
            it.gauge.decrement(1);
            let seconds = it.begun.elapsed();
            with_recorder(|recorder| {
                let histogram = recorder.register_histogram(&it.seconds, &METADATA);
                histogram.record(seconds);
            });
        }
    }
}
