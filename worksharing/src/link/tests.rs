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

struct Fake(Arc<Server>);

impl Wire for Fake {
    type Connection = ();
    type Ask = Ask;
    type Answer = usize;

    fn name(&self) -> &str {
        "fake"
    }

    fn connect(&self, _pulse: &Pulse) -> Result<(), Error> {
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
        pulse: &Pulse,
    ) -> Result<Vec<Result<usize, Error>>, Error> {
        self.0.batches.fetch_add(1, Ordering::SeqCst);
        for ask in asks {
            match ask {
                Ask::Echo(_) => (),
                Ask::LoseOnce if self.0.losses.fetch_add(1, Ordering::SeqCst) > 0 => (),
                Ask::Lose | Ask::LoseOnce => return Err(Error::unavailable("lost")),
                Ask::Hang => {
                    pulse.beat_for(Duration::from_millis(1));
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

    fn tick(&self, (): &mut (), _pulse: &Pulse) -> Result<(), Error> {
        Ok(())
    }

    fn grace(&self) -> Duration {
        Duration::ZERO
    }
}

fn link() -> (Link<Fake>, Arc<Server>) {
    let server = Arc::new(Server::default());
    (Link::new(Fake(Arc::clone(&server))), server)
}

fn ask(link: &Link<Fake>, ask: Ask) -> Result<usize, Error> {
    block_on(link.answer(ask, false))
}

#[test]
fn many_threads_get_their_own_answers() {
    let (link, server) = link();
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
    let (link, server) = link();
    assert_eq!(ask(&link, Ask::LoseOnce).unwrap(), 0);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    assert!(ask(&link, Ask::Lose).is_err(), "twice is enough");
    assert_eq!(server.batches.load(Ordering::SeqCst), 4);
    assert_eq!(ask(&link, Ask::Echo(7)).unwrap(), 7);
}

#[test]
fn while_the_server_is_down_asks_are_refused_at_once() {
    let (link, server) = link();
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
    let (link, server) = link();
    assert!(ask(&link, Ask::Hang).is_err());
    assert_eq!(block_on(link.answer(Ask::Echo(1), true)).unwrap(), 1);
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[test]
fn a_panic_of_the_thread_is_answered_and_survived() {
    let (link, _server) = link();
    assert!(ask(&link, Ask::Panic).is_err());
    assert_eq!(ask(&link, Ask::Echo(1)).unwrap(), 1);
}

#[test]
fn dropping_a_link_ends_its_thread() {
    let (link, server) = link();
    assert_eq!(ask(&link, Ask::Echo(1)).unwrap(), 1);
    drop(link);
    // The thread holds the other one.
    while Arc::strong_count(&server) > 1 {
        thread::yield_now();
    }
}
