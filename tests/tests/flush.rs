//! What was queued has been sent once it is flushed, so that a process may end. Of case 41.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tests::{End, Proxy, Run, Servers, Setup, Timeline, Worker, now_us, wait_until};
use tokio::runtime::Runtime;
use worksharing::lock::{Caller, Lock, LockGuard};
use worksharing::store::{Fence, Look, Seen};
use worksharing::testing::backends;
use worksharing::{BoxFuture, Builder, Bytes, Key, PostgresLock, WorkSharing};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(20);
/// How long a server is away: long after a process that does not wait for it has gone on.
const AWAY: Duration = Duration::from_millis(30);

fn run<T>(future: BoxFuture<'_, T>) -> T {
    Runtime::new().unwrap().block_on(future)
}

fn try_lock(lock: &dyn Lock, key: &Key) -> Option<LockGuard> {
    run(lock.try_lock(key, Caller::Outermost)).unwrap()
}

/// A lock of a runtime of its own.
fn lock(builder: Builder, kind: PostgresLock) -> impl Lock {
    let sharing = builder.postgres_lock(kind).build().unwrap();
    backends(&sharing).1
}

#[test]
fn release_is_done_when_it_is_flushed() {
    let servers = Servers::start();
    let proxy = Proxy::to(servers.postgres.port());
    for kind in [PostgresLock::Session, PostgresLock::Lease] {
        let far = lock(servers.builder().postgres(proxy.postgres_url()), kind);
        let near = lock(servers.builder(), kind);
        let key = Key::new(format!("released by {kind:?}"));
        let guard = try_lock(&far, &key).unwrap();
        proxy.delay(AWAY);
        drop(guard);
        assert!(try_lock(&near, &key).is_none(), "it is under way");
        run(far.flush()).unwrap();
        assert!(try_lock(&near, &key).is_some(), "it was flushed");
        // What is granted when nobody waits for it any more is released, too: here in one batch with the flush.
        for key in [&Key::new("under way"), &key] {
            let dropped = far.try_lock(key, Caller::Outermost).now_or_never();
            assert!(dropped.is_none());
        }
        run(far.flush()).unwrap();
        assert!(try_lock(&near, &key).is_some(), "it was flushed");
        proxy.delay(Duration::ZERO);
    }
}

#[test]
fn flush_connects_to_nobody() {
    let servers = Servers::start();
    let (postgres, redis) = (
        Proxy::to(servers.postgres.port()),
        Proxy::to(servers.redis.port()),
    );
    let builder = WorkSharing::builder().postgres(postgres.postgres_url());
    let sharing = builder.redis(redis.redis_url()).build().unwrap();
    let (store, lock) = backends(&sharing);
    let flush = || {
        run(store.flush()).unwrap();
        run(lock.flush()).unwrap();
    };
    flush();
    assert_eq!((postgres.accepted(), redis.accepted()), (0, 0));
    sharing.work("used").run_blocking(|| 1);
    wait_until(LIMIT, "both sessions are there", || {
        servers.postgres.sessions() == 2
    });
    // Its second connection is for large values.
    flush();
    assert_eq!((postgres.accepted(), redis.accepted()), (2, 1));
}

#[test]
fn flush_to_a_silent_server_fails_in_bounded_time() {
    let servers = Servers::start();
    for kind in [PostgresLock::Session, PostgresLock::Lease] {
        let proxy = Proxy::to(servers.postgres.port());
        let lock = lock(servers.builder().postgres(proxy.postgres_url()), kind);
        let guard = try_lock(&lock, &Key::new(format!("silent {kind:?}"))).unwrap();
        proxy.freeze();
        drop(guard);
        let begun = Instant::now();
        let flushed = run(lock.flush());
        eprintln!("{kind:?}: {flushed:?} after {:?}", begun.elapsed());
        assert!(flushed.is_err());
        assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    }
}

#[test]
fn flush_of_values_to_a_silent_server_fails_in_bounded_time() {
    let servers = Servers::start();
    let proxy = Proxy::to(servers.redis.port());
    let sharing = servers.builder().redis(proxy.redis_url()).build().unwrap();
    let (store, _) = backends(&sharing);
    let key = Key::new("silent");
    assert_eq!(run(store.get_one(&key, Look::up_to(0))).unwrap(), None);
    proxy.freeze();
    let (entry, fence) = (Bytes::from("an entry"), Fence::new(Seen::default(), None));
    let put = store.put(&key, entry, Duration::from_secs(60), fence);
    assert!(put.now_or_never().is_none(), "it is under way");
    let begun = Instant::now();
    let flushed = run(store.flush());
    eprintln!("{flushed:?} after {:?}", begun.elapsed());
    assert!(flushed.is_err());
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
}

/// A process computes in vain, flushes and ends. Whoever waits in another process is told, and need not find out.
#[test]
fn process_that_flushes_and_ends_is_not_waited_for() {
    let servers = Servers::start();
    let proxy = Proxy::to(servers.postgres.port());
    let far = Setup {
        postgres: Some(proxy.postgres_url()),
        ..servers.setup()
    };
    let mut leaving = Worker::start(WORKER, &far);
    let mut waiting = Worker::start(WORKER, &servers.setup());
    assert_eq!((leaving.check(), waiting.check()), (None, None));
    proxy.delay(AWAY);
    leaving.run_and_leave(&Run::of("left", Duration::from_millis(2_500)).end(End::Fail));
    let left = |worker: &Worker| Timeline::of([worker]).key("left");
    wait_until(LIMIT, "it computes", || !left(&leaving).begins().is_empty());
    waiting.run(&Run::of("left", Duration::ZERO));
    wait_until(LIMIT, "it has ended", || !leaving.is_alive());
    let exit = now_us();
    waiting.wait(1);
    let took = Duration::from_micros(left(&waiting).begins()[0].at_us.saturating_sub(exit));
    eprintln!("the waiter went on {took:?} after the exit");
    assert!(took < Duration::from_millis(50), "{took:?}");
}
