//! What a subscriber sees: a span for each call, with its outcome and its leader, and each trouble's beginning and end.
//! Case 56.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod outcomes;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use outcomes::{FUNCTION, SCENARIOS, work};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Subscriber, dispatcher};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use worksharing::store::{Fence, Look, Memory, Store, Stored};
use worksharing::{BoxFuture, Bytes, Error, ErrorKind, Key, WorkSharing};

type Fields = BTreeMap<&'static str, String>;

/// A span, or an event.
#[derive(Clone, Debug)]
struct Seen {
    id: u64,
    level: Level,
    fields: Fields,
    follows: Vec<u64>,
    /// The spans around it, the innermost first.
    inside: Vec<u64>,
}

#[derive(Clone, Default)]
struct Subscribed {
    spans: Arc<Mutex<Vec<Seen>>>,
    events: Arc<Mutex<Vec<Seen>>>,
}

struct Visited<'a>(&'a mut Fields);

impl Visit for Visited<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let old = self.0.insert(field.name(), format!("{value:?}"));
        assert_eq!(old, None, "{} is recorded twice", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Subscribed {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Visited(&mut fields));
        if attributes.metadata().name() == "work_shared" {
            self.spans.lock().unwrap().push(Seen {
                id: id.into_u64(),
                level: *attributes.metadata().level(),
                fields,
                follows: Vec::new(),
                inside: Vec::new(),
            });
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, _: Context<'_, S>) {
        let mut spans = self.spans.lock().unwrap();
        // The last of this number: numbers are used again.
        let span = spans.iter_mut().rev().find(|span| span.id == id.into_u64());
        record.record(&mut Visited(&mut span.expect("one of ours").fields));
    }

    fn on_follows_from(&self, id: &Id, leader: &Id, _: Context<'_, S>) {
        let mut spans = self.spans.lock().unwrap();
        let span = spans.iter_mut().rev().find(|span| span.id == id.into_u64());
        let follows = &mut span.expect("one of ours").follows;
        follows.push(leader.into_u64());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Visited(&mut fields));
        let spans = context.event_scope(event);
        let inside = spans.map(|spans| spans.map(|span| span.id().into_u64()).collect());
        self.events.lock().unwrap().push(Seen {
            id: 0,
            level: *event.metadata().level(),
            fields,
            follows: Vec::new(),
            inside: inside.unwrap_or_default(),
        });
    }
}

impl Subscribed {
    fn dispatch(&self) -> Dispatch {
        Dispatch::new(tracing_subscriber::registry().with(self.clone()))
    }

    fn spans(&self) -> Vec<Seen> {
        self.spans.lock().unwrap().clone()
    }

    fn outcomes(&self) -> Vec<String> {
        let spans = self.spans();
        let outcomes = spans.iter().filter_map(|span| span.fields.get("outcome"));
        let mut outcomes: Vec<_> = outcomes.cloned().collect();
        outcomes.sort();
        outcomes
    }

    /// The messages at `INFO` and worse, with their levels.
    fn said(&self) -> Vec<(Level, String)> {
        let events = self.events.lock().unwrap();
        let said = events.iter().filter(|event| event.level <= Level::INFO);
        said.map(|event| (event.level, event.fields["message"].clone()))
            .collect()
    }
}

#[test]
fn each_call_has_a_span_with_its_outcome() {
    for scenario in SCENARIOS {
        let subscribed = Subscribed::default();
        let dispatch = subscribed.dispatch();
        let sharing = WorkSharing::in_memory();
        (scenario.run)(&sharing, &|run| dispatcher::with_default(&dispatch, run));
        assert_eq!(
            subscribed.outcomes(),
            scenario.outcomes,
            "{}",
            scenario.name
        );
        for span in subscribed.spans() {
            assert_eq!(span.level, Level::DEBUG);
            assert_eq!(span.fields["name"], FUNCTION);
            assert_eq!(span.fields["key"].len(), 32);
        }
    }
}

#[test]
fn who_waits_follows_its_leader() {
    let waits = SCENARIOS
        .iter()
        .find(|it| it.outcomes == ["computed", "shared"]);
    let subscribed = Subscribed::default();
    let dispatch = subscribed.dispatch();
    let sharing = WorkSharing::in_memory();
    (waits.unwrap().run)(&sharing, &|run| dispatcher::with_default(&dispatch, run));
    let spans = subscribed.spans();
    let [leader, follower] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(follower.follows, [leader.id]);
    assert!(leader.follows.is_empty());
    let fields = |span: &Seen| {
        (
            span.fields.get("waited").cloned(),
            span.fields.get("computed").cloned(),
        )
    };
    let yes = Some("true".to_owned());
    assert_eq!(fields(leader), (None, yes.clone()));
    assert_eq!(fields(follower), (yes, None));
}

#[tokio::test]
async fn bodies_are_inside_of_their_calls_spans() {
    let subscribed = Subscribed::default();
    let _default = dispatcher::set_default(&subscribed.dispatch());
    let sharing = WorkSharing::in_memory();
    let body = async || {
        tokio::task::yield_now().await;
        tracing::info!("in the body");
        1
    };
    work(&sharing).run(body).await;
    sharing
        .work("detached")
        .name(FUNCTION)
        .detach()
        .run(body)
        .await;
    sharing
        .work("blocking")
        .name(FUNCTION)
        .run_blocking(|| tracing::info!("in the body"));
    let spans: Vec<_> = subscribed.spans().iter().map(|span| span.id).collect();
    let events = subscribed.events.lock().unwrap();
    let inside: Vec<_> = events.iter().map(|event| event.inside[0]).collect();
    assert_eq!((inside.len(), inside), (3, spans));
}

/// A store that fails while it is told to.
#[derive(Debug, Default)]
struct Failing {
    store: Memory,
    looks: AtomicBool,
    puts: AtomicBool,
}

fn failed<T>() -> Result<T, Error> {
    Err(Error::new(ErrorKind::Unavailable, "it fails"))
}

#[derive(Clone, Debug)]
struct Shared(Arc<Failing>);

impl Store for Shared {
    fn get<'a>(
        &'a self,
        keys: &'a [Key],
        look: Look,
    ) -> BoxFuture<'a, Result<Vec<Option<Stored>>, Error>> {
        if self.0.looks.load(Ordering::Relaxed) {
            return Box::pin(async { failed() });
        }
        self.0.store.get(keys, look)
    }

    fn put<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
        fence: Fence,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        if self.0.puts.load(Ordering::Relaxed) {
            return Box::pin(async { failed() });
        }
        self.0.store.put(key, entry, ttl, fence)
    }

    fn replace<'a>(
        &'a self,
        key: &'a Key,
        entry: Bytes,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.0.store.replace(key, entry, ttl)
    }
}

#[test]
fn trouble_is_said_once_when_it_begins_and_once_when_it_ends() {
    let subscribed = Subscribed::default();
    let _default = dispatcher::set_default(&subscribed.dispatch());
    let store = Arc::new(Failing::default());
    let builder = WorkSharing::builder().store(Shared(Arc::clone(&store)));
    let sharing = builder.build().unwrap();
    let calls = |number: usize| {
        for call in 0..number {
            sharing.work(format!("{call}")).run_blocking(|| call);
        }
    };
    let fails = |looks: bool, puts: bool| {
        store.looks.store(looks, Ordering::Relaxed);
        store.puts.store(puts, Ordering::Relaxed);
    };
    calls(2);
    fails(true, true);
    calls(3);
    thread::sleep(Duration::from_millis(30));
    fails(false, false);
    calls(2);
    let begins = "the store is not used: values are computed anew";
    let ends = "the store is used again";
    let outage = [
        (Level::WARN, begins.to_owned()),
        (Level::INFO, ends.to_owned()),
    ];
    assert_eq!(subscribed.said(), outage);
    let fields = subscribed.events.lock().unwrap()[1].fields.clone();
    assert_eq!(fields["calls"], "3");
    let lasted = fields["lasted"].strip_suffix("ms").expect("milliseconds");
    assert!(lasted.parse::<f64>().unwrap() >= 30.0, "{lasted}");
    // The next one is another; of values that are only not stored there is something else to say.
    subscribed.events.lock().unwrap().clear();
    fails(true, true);
    calls(1);
    fails(false, true);
    (0..2).for_each(|call| {
        drop(
            sharing
                .work(format!("other {call}"))
                .run_blocking(|| vec![0]),
        )
    });
    fails(false, false);
    sharing.work("another").run_blocking(|| 1);
    let puts = [
        (
            Level::WARN,
            "values are not stored: others compute them anew".to_owned(),
        ),
        (Level::INFO, "values are stored again".to_owned()),
    ];
    assert_eq!(subscribed.said(), [outage, puts].concat());
}

#[test]
fn nothing_is_traced_where_nobody_subscribes() {
    let subscribed = Subscribed::default();
    let infos = tracing_subscriber::filter::LevelFilter::INFO;
    let subscriber = tracing_subscriber::registry().with(subscribed.clone().with_filter(infos));
    let _default = dispatcher::set_default(&Dispatch::new(subscriber));
    let sharing = WorkSharing::in_memory();
    (0..2).for_each(|_| assert_eq!(work(&sharing).run_blocking(|| 1), 1));
    assert!(subscribed.spans().is_empty());
    assert!(subscribed.said().is_empty());
}
