//! What a detached body sees of its caller, and what its caller sees of it: spans, subscribers, task-locals, panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tests::{Log, wait_until};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tracing::instrument::WithSubscriber as _;
use tracing::{Instrument as _, info, info_span, subscriber};
use worksharing::WorkSharing;

const LIMIT: Duration = Duration::from_secs(20);

fn is_detached_panic(line: &str) -> bool {
    line.contains("ERROR") && line.contains("panicked, and its caller is gone")
}

// ---- Spans and subscribers.

#[test]
fn body_logs_where_its_caller_does() {
    let sharing = WorkSharing::in_memory();
    let log = Log::default();
    let call = sharing.work("later").detach().run(|| async {
        info!("the async body");
        1
    });
    subscriber::with_default(log.subscriber(), || {
        let call = call.instrument(info_span!("request", number = 17));
        Runtime::new().unwrap().block_on(call);
    });
    let line = log.text();
    assert!(
        line.contains("request{number=17}: ") && line.contains("the async body"),
        "{line}"
    );

    let log = Log::default();
    subscriber::with_default(log.subscriber(), || {
        let _span = info_span!("request", number = 18).entered();
        sharing.work("now").detach().run_blocking(|| {
            info!("the blocking body");
            1
        })
    });
    let line = log.text();
    assert!(
        line.contains("request{number=18}: ") && line.contains("the blocking body"),
        "{line}"
    );
}

// ---- Task-locals.

tokio::task_local! {
    static TENANT: &'static str;
}

#[test]
fn body_sees_the_task_locals_that_a_spawner_takes_along() {
    let builder = WorkSharing::builder().spawner(|task| {
        let tenant = TENANT.get();
        tokio::spawn(TENANT.scope(tenant, task));
    });
    let sharing = builder.build().unwrap();
    let body = || async { TENANT.try_with(|tenant| (*tenant).to_owned()).ok() };
    let call = TENANT.scope("a tenant", sharing.work("local").detach().run(body));
    let seen = Runtime::new().unwrap().block_on(call);
    assert_eq!(seen.as_deref(), Some("a tenant"));
}

// ---- The runtime that a blocking body runs beside.

#[test]
fn blocking_body_is_on_its_callers_runtime() {
    let sharing = WorkSharing::in_memory();
    let runtime = Runtime::new().unwrap();
    let caller = runtime.spawn_blocking(move || {
        sharing.work("beside").detach().run_blocking(|| {
            let handle = tokio::runtime::Handle::current();
            handle.block_on(async { tokio::spawn(async { 3 }).await.unwrap() })
        })
    });
    assert_eq!(runtime.block_on(caller).unwrap(), 3);
}

// ---- Panics.

fn text_of(panic: &(dyn std::any::Any + Send)) -> &'static str {
    panic.downcast_ref::<&'static str>().copied().unwrap_or("?")
}

#[test]
fn panic_of_a_detached_body_is_its_callers() {
    let sharing = WorkSharing::in_memory();
    let log = Log::default();
    subscriber::with_default(log.subscriber(), || {
        let runtime = Runtime::new().unwrap();
        let call = sharing.work::<u32>("later").detach();
        let call = call.run(|| async { std::panic::panic_any("the async body") });
        let panic = runtime
            .block_on(AssertUnwindSafe(call).catch_unwind())
            .unwrap_err();
        assert_eq!(text_of(&*panic), "the async body");
        let call = || {
            let work = sharing.work::<u32>("now").detach();
            work.run_blocking(|| std::panic::panic_any("the blocking body"))
        };
        let panic = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
        assert_eq!(text_of(&*panic), "the blocking body");
    });
    assert!(!log.text().lines().any(is_detached_panic), "{}", log.text());
    // Neither of them is stored, nor in anybody's way.
    for key in ["later", "now"] {
        assert_eq!(sharing.work(key).run_blocking(|| 1), 1);
    }
}

#[test]
fn panic_is_an_error_event_where_the_caller_is_gone() {
    let sharing = WorkSharing::in_memory();
    let log = Log::default();
    let runtime = Runtime::new().unwrap();
    let (begun, go_on) = (Arc::<Notify>::default(), Arc::<Notify>::default());
    let (begins, waits) = (Arc::clone(&begun), Arc::clone(&go_on));
    let call = sharing
        .work::<u32>("gone")
        .detach()
        .run(move || async move {
            begins.notify_one();
            waits.notified().await;
            std::panic::panic_any("nobody hears it")
        });
    let caller = runtime.spawn(call.with_subscriber(log.subscriber()));
    runtime.block_on(begun.notified());
    caller.abort();
    assert!(runtime.block_on(caller).unwrap_err().is_cancelled());
    go_on.notify_one();
    wait_until(LIMIT, "it is said", || {
        log.text().lines().any(is_detached_panic)
    });
    let log = log.text();
    assert!(log.contains("nobody hears it"), "{log}");
    assert_eq!(sharing.work("gone").run_blocking(|| 1), 1);
}
