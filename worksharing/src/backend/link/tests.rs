//! Links over a server that misbehaves in every way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;
use crate::block_on::block_on;

/// What the server does with a batch that holds this ask.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ask {
    Echo(usize),
    /// Loses the connection the first time.
    LoseOnce,
    Lose,
    Hang,
    Panic,
}

#[derive(Default)]
struct Server {
    connections: AtomicUsize,
    batches: AtomicUsize,
    losses: AtomicUsize,
    is_down: std::sync::atomic::AtomicBool,
}

/// `CALLER_MAY_SERVE` lets callers serve their own asks.
struct Fake<const CALLER_MAY_SERVE: bool>(Arc<Server>);

impl<const CALLER_MAY_SERVE: bool> Protocol for Fake<CALLER_MAY_SERVE> {
    const CALLER_MAY_SERVE: bool = CALLER_MAY_SERVE;

    type Connection = ();
    type Ask = Ask;
    type Answer = usize;

    fn name(&self) -> &str {
        "fake"
    }

    fn connect(&self, _pulse: &Watchdog) -> Result<(), Error> {
        if self.0.is_down.load(Ordering::SeqCst) {
            return Err(Error::unavailable("down"));
        }
        self.0.connections.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn serve(
        &self,
        (): &mut (),
        asks: &[Ask],
        watchdog: &Watchdog,
    ) -> Result<Vec<Result<usize, Error>>, Error> {
        self.0.batches.fetch_add(1, Ordering::SeqCst);
        for ask in asks {
            match ask {
                Ask::Echo(_) => (),
                Ask::LoseOnce if self.0.losses.fetch_add(1, Ordering::SeqCst) > 0 => (),
                Ask::Lose | Ask::LoseOnce => return Err(Error::unavailable("lost")),
                Ask::Hang => {
                    watchdog.arm_for(Duration::from_millis(1));
                    loop {
                        thread::park();
                    }
                }
                // Not `panic!`: nobody wants to read of it.
                Ask::Panic => std::panic::resume_unwind(Box::new("a defect")),
            }
        }
        let answer = |ask: &Ask| {
            if let Ask::Echo(number) = ask {
                *number
            } else {
                0
            }
        };
        Ok(asks.iter().map(|ask| Ok(answer(ask))).collect())
    }

    fn due(&self, (): &()) -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    fn tick(&self, (): &mut (), _pulse: &Watchdog) -> Result<(), Error> {
        Ok(())
    }

    fn grace(&self) -> Duration {
        Duration::ZERO
    }
}

fn link<const CALLER_MAY_SERVE: bool>() -> (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>) {
    let server = Arc::new(Server::default());
    (Link::new(Fake(Arc::clone(&server))), server)
}

fn ask<const CALLER_MAY_SERVE: bool>(
    link: &Link<Fake<CALLER_MAY_SERVE>>,
    ask: Ask,
) -> Result<usize, Error> {
    block_on(link.answer(ask, false))
}

#[test]
fn many_threads_get_their_own_answers() {
    many_threads_get_their_own_answers_by(link::<false>());
    many_threads_get_their_own_answers_by(link::<true>());
}

fn many_threads_get_their_own_answers_by<const CALLER_MAY_SERVE: bool>(
    (link, server): (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>),
) {
    thread::scope(|scope| {
        for number in 0..32 {
            let link = &link;
            scope.spawn(move || {
                for i in 0..100 {
                    let number = number * 1_000 + i;
                    assert_eq!(ask(link, Ask::Echo(number)).unwrap(), number);
                }
            });
        }
    });
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_lost_batch_is_sent_once_more() {
    a_lost_batch_is_sent_once_more_by(link::<false>());
    a_lost_batch_is_sent_once_more_by(link::<true>());
}

fn a_lost_batch_is_sent_once_more_by<const CALLER_MAY_SERVE: bool>(
    (link, server): (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>),
) {
    assert_eq!(ask(&link, Ask::LoseOnce).unwrap(), 0);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    assert!(ask(&link, Ask::Lose).is_err(), "twice is enough");
    if !CALLER_MAY_SERVE {
        assert_eq!(server.batches.load(Ordering::SeqCst), 4);
    }
    assert_eq!(ask(&link, Ask::Echo(7)).unwrap(), 7);
}

#[test]
fn while_the_server_is_down_asks_are_refused_at_once() {
    while_the_server_is_down_asks_are_refused_at_once_by(link::<false>());
    while_the_server_is_down_asks_are_refused_at_once_by(link::<true>());
}

fn while_the_server_is_down_asks_are_refused_at_once_by<const CALLER_MAY_SERVE: bool>(
    (link, server): (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>),
) {
    server.is_down.store(true, Ordering::SeqCst);
    assert!(ask(&link, Ask::Echo(1)).is_err());
    for _ in 0..1_000 {
        assert!(ask(&link, Ask::Echo(1)).is_err());
    }
    server.is_down.store(false, Ordering::SeqCst);
    assert_eq!(
        block_on(link.answer(Ask::Echo(2), true)).unwrap(),
        2,
        "patience is rewarded"
    );
    assert_eq!(ask(&link, Ask::Echo(3)).unwrap(), 3);
}

#[test]
fn a_server_that_hangs_is_let_go_of() {
    let (link, server) = link::<false>();
    assert!(ask(&link, Ask::Hang).is_err());
    assert_eq!(block_on(link.answer(Ask::Echo(1), true)).unwrap(), 1);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[test]
fn a_panic_of_the_thread_is_answered_and_survived() {
    let (link, _server) = link::<false>();
    assert!(ask(&link, Ask::Panic).is_err());
    assert_eq!(ask(&link, Ask::Echo(1)).unwrap(), 1);
}

#[test]
fn dropping_a_link_ends_its_thread() {
    dropping_a_link_ends_its_thread_by(link::<false>());
    dropping_a_link_ends_its_thread_by(link::<true>());
}

fn dropping_a_link_ends_its_thread_by<const CALLER_MAY_SERVE: bool>(
    (link, server): (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>),
) {
    assert_eq!(ask(&link, Ask::Echo(1)).unwrap(), 1);
    drop(link);
    // The thread holds the other one.
    while Arc::strong_count(&server) > 1 {
        thread::yield_now();
    }
}

#[test]
fn a_panic_of_a_caller_that_serves_itself_costs_the_connection_only() {
    let (link, server) = link::<true>();
    assert_eq!(ask(&link, Ask::Echo(1)).unwrap(), 1);
    // Once the thread has nothing to do, the caller has the connection.
    let panicked = (0..1_000).any(|_| {
        thread::sleep(Duration::from_millis(1));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ask(&link, Ask::Panic))).is_err()
    });
    assert!(panicked, "the caller never served itself");
    assert_eq!(ask(&link, Ask::Echo(2)).unwrap(), 2);
    assert!(server.connections.load(Ordering::SeqCst) >= 2);
}
