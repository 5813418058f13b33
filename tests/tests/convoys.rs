//! Whoever waits is served by what it waited for, by nothing older than what it asked after, and is counted as
//! what it was. Numbers 5, 6 and 12 of the issue on bounds.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use tests::{Proxy, Servers, on_each_backend, wait_until};
use tokio::runtime::Runtime;
use worksharing::{WorkSharing, work_shared};

const LIMIT: Duration = Duration::from_secs(20);
const BODY: Duration = Duration::from_millis(100);
const CALLERS: usize = 50;
/// Three bodies, and what a loaded machine takes for fifty threads.
const ALL_ANSWERED: Duration = Duration::from_millis(1_000);

// ---- 6: failing work.

static BODIES: AtomicUsize = AtomicUsize::new(0);

fn body() -> usize {
    thread::sleep(BODY);
    BODIES.fetch_add(1, SeqCst)
}

#[work_shared(ttl = "60s", key = "fails", via = sharing)]
fn fails(sharing: &WorkSharing) -> Result<usize, String> {
    Err(format!("failure {}", body()))
}

#[work_shared(ttl = "60s", key = "finds nothing", via = sharing)]
fn finds_nothing(sharing: &WorkSharing) -> Option<usize> {
    (body() == usize::MAX).then_some(1)
}

#[work_shared(ttl = "60s", key = "is kept out", via = sharing, cache_if = |_: &usize| false)]
fn is_kept_out(sharing: &WorkSharing) -> usize {
    body()
}

#[work_shared(ttl = "60s", key = "fails later", via = sharing)]
async fn fails_later(sharing: &WorkSharing) -> Result<usize, String> {
    tokio::time::sleep(BODY).await;
    Err(format!("failure {}", BODIES.fetch_add(1, SeqCst)))
}

/// All callers call at once. Returns when the last one was answered, and how many bodies ran.
fn herd(call: impl Fn() + Sync) -> (Duration, usize) {
    let (began, before) = (Instant::now(), BODIES.load(SeqCst));
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(&call);
        }
    });
    (began.elapsed(), BODIES.load(SeqCst) - before)
}

#[track_caller]
fn answered_together(what: &str, (took, bodies): (Duration, usize)) {
    eprintln!("{what}: {CALLERS} callers answered in {took:?} by {bodies} bodies");
    assert!(took < ALL_ANSWERED && bodies <= 3, "{what}: {took:?}");
}

#[test]
fn callers_of_failing_work_are_answered_together() {
    on_each_backend(|backend, build| {
        let sharing = build();
        answered_together(
            &format!("{backend}, Err"),
            herd(|| drop(fails(&sharing).unwrap_err())),
        );
        answered_together(
            &format!("{backend}, None"),
            herd(|| assert_eq!(finds_nothing(&sharing), None)),
        );
        answered_together(
            &format!("{backend}, cache_if"),
            herd(|| assert!(is_kept_out(&sharing) < usize::MAX)),
        );
    });
}

#[test]
fn tasks_of_failing_work_are_answered_together() {
    let servers = Servers::start();
    let sharing = servers.sharing();
    let (began, before) = (Instant::now(), BODIES.load(SeqCst));
    let calls = (0..CALLERS).map(|_| fails_later(&sharing));
    let answers = Runtime::new()
        .unwrap()
        .block_on(futures_util::future::join_all(calls));
    assert!(answers.iter().all(Result::is_err));
    let bodies = BODIES.load(SeqCst) - before;
    answered_together("tasks, Err", (began.elapsed(), bodies));
}

// ---- 5: a caller that asks after an invalidation has returned is not given what was begun before it.

#[test]
fn nobody_is_given_what_was_invalidated_before_the_question() {
    on_each_backend(|backend, build| {
        let (ours, theirs) = (build(), build());
        thread::scope(|scope| {
            let leader = scope.spawn(|| {
                ours.work("changes").run_blocking(|| {
                    thread::sleep(Duration::from_millis(600));
                    "old".to_owned()
                })
            });
            wait_until(LIMIT, "the body runs", || ours.stats().computed == 1);
            theirs
                .work::<String>("changes")
                .invalidate_blocking()
                .unwrap();
            let after: Vec<_> = (0..4)
                .map(|_| {
                    let call = || ours.work("changes").run_blocking(|| "new".to_owned());
                    scope.spawn(call)
                })
                .collect();
            for caller in after {
                assert_eq!(caller.join().unwrap(), "new", "{backend}");
            }
            assert_eq!(leader.join().unwrap(), "old", "{backend}");
            let left = theirs.work::<String>("changes").peek_blocking();
            assert_eq!(left.as_deref(), Some("new"), "{backend}");
        });
    });
}

/// Callers all the time, in two processes; whatever began after an invalidation had returned is newer than it.
#[test]
fn looks_that_are_under_way_are_not_joined_after_an_invalidation() {
    let servers = Servers::start();
    let (ours, theirs) = (servers.sharing(), servers.sharing());
    let version = AtomicUsize::new(0);
    // What has been invalidated for good: nothing older may be given to whoever asks now.
    let (least, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let late = thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut late = 0;
                    while ended.load(SeqCst) == 0 {
                        let asked = least.load(SeqCst);
                        let body = || version.load(SeqCst);
                        late += usize::from(ours.work("versions").run_blocking(body) < asked);
                    }
                    late
                })
            })
            .collect();
        for number in 1..=400 {
            version.store(number, SeqCst);
            theirs
                .work::<usize>("versions")
                .invalidate_blocking()
                .unwrap();
            least.store(number, SeqCst);
            thread::sleep(Duration::from_millis(3));
        }
        ended.store(1, SeqCst);
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .sum::<usize>()
    });
    assert_eq!(late, 0, "callers were given what had been invalidated");
}

// ---- 12: a hit is a hit, also when many look at the same time.

#[test]
fn hits_at_the_same_time_count_as_hits() {
    let servers = Servers::start();
    let proxy = Proxy::to(servers.redis.port());
    let builder = servers.builder().redis(proxy.redis_url());
    let sharing = builder.build().unwrap();
    assert_eq!(sharing.work("hot").run_blocking(|| 1), 1);
    // So that looks meet.
    proxy.delay(Duration::from_millis(5));
    let before = sharing.stats();
    let calls = (0..200).map(|_| sharing.work("hot").run(async || 2));
    let values = Runtime::new()
        .unwrap()
        .block_on(futures_util::future::join_all(calls));
    assert!(values.into_iter().all(|value| value == 1));
    let stats = sharing.stats();
    assert_eq!(
        (
            stats.hits - before.hits,
            stats.waited - before.waited,
            stats.shared - before.shared
        ),
        (200, 0, 0)
    );
}
