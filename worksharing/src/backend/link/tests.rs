//! Links over a server that misbehaves in every way.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;

use super::*;
use crate::blocking::block_on;

mod idle;

/// What the server does with a batch that holds this ask.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ask {
    Echo(usize),
    /// Loses the connection the first time.
    LoseOnce,
    /// The same, and it may not be sent again.
    Replace,
    Lose,
    Hang,
    Panic,
    Trial,
}

/// What the server does with a new connection.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Door {
    #[default]
    Open,
    Closed,
    /// Lets in, and then loses whatever is asked.
    Trap,
    /// Never answers, until it is interrupted.
    Silent,
    /// Never answers.
    Deaf,
    Panics,
    /// Is in no hurry to close what is open.
    Slow,
}

#[derive(Default)]
struct Server {
    connections: AtomicUsize,
    batches: AtomicUsize,
    losses: AtomicUsize,
    trials: AtomicUsize,
    attempts: AtomicUsize,
    /// How many connections were closed in order.
    closed: AtomicUsize,
    /// Somebody needs the connection, although nothing is asked.
    needed: AtomicBool,
    /// `idle_disconnect`, in milliseconds; zero is never.
    idle: AtomicU64,
    /// How many threads are in `connect` or `serve`.
    inside: AtomicUsize,
    downs: AtomicUsize,
    door: Mutex<Door>,
    changed: Condvar,
    interrupted: Mutex<bool>,
}

impl Server {
    fn door(&self, door: Door) {
        *self.door.lock().unwrap() = door;
        self.changed.notify_all();
    }

    fn when(&self, condition: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "it never happens"
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn hang(&self) {
        let mut interrupted = self.interrupted.lock().unwrap();
        while !std::mem::take(&mut *interrupted) {
            interrupted = self.changed.wait(interrupted).unwrap();
        }
    }
}

impl Interrupt for Server {
    fn interrupt(&self) {
        *self.interrupted.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// Counts who is inside, and that there is never a second one.
struct Inside<'a>(&'a Server);

impl<'a> Inside<'a> {
    fn of(server: &'a Server) -> Self {
        assert_eq!(
            server.inside.fetch_add(1, Ordering::SeqCst),
            0,
            "a second thread"
        );
        Self(server)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
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

    fn connect(&self, watchdog: &Watchdog) -> Result<(), Error> {
        let server = &*self.0;
        let _inside = Inside::of(server);
        server.attempts.fetch_add(1, Ordering::SeqCst);
        watchdog.may_interrupt(&self.0);
        let door = server.door.lock().unwrap();
        match *door {
            Door::Closed => return Err(Error::unavailable("down")),
            Door::Open | Door::Trap | Door::Slow => (),
            // Not `panic!`: nobody wants to read of it.
            Door::Panics => {
                drop(door);
                std::panic::resume_unwind(Box::new("no descriptors"));
            }
            Door::Silent => {
                drop(door);
                watchdog.arm_for(Duration::from_millis(1));
                server.hang();
                return Err(Error::unavailable("interrupted"));
            }
            Door::Deaf => {
                watchdog.arm_for(Duration::from_millis(1));
                drop(server.changed.wait_while(door, |door| *door == Door::Deaf));
            }
        }
        server.connections.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn serve(
        &self,
        (): &mut (),
        asks: &[Ask],
        watchdog: &Watchdog,
    ) -> Result<Vec<Result<usize, Error>>, Error> {
        let server = &*self.0;
        let _inside = Inside::of(server);
        server.batches.fetch_add(1, Ordering::SeqCst);
        if *server.door.lock().unwrap() == Door::Trap {
            let trial = usize::from(asks.contains(&Ask::Trial));
            server.trials.fetch_add(trial, Ordering::SeqCst);
            return Err(Error::unavailable("lost"));
        }
        for ask in asks {
            match ask {
                Ask::Echo(_) | Ask::Trial => (),
                Ask::LoseOnce | Ask::Replace
                    if server.losses.fetch_add(1, Ordering::SeqCst) > 0 => {}
                Ask::Lose | Ask::LoseOnce | Ask::Replace => return Err(Error::unavailable("lost")),
                Ask::Hang => {
                    watchdog.arm_for(Duration::from_millis(1));
                    server.hang();
                    return Err(Error::unavailable("interrupted"));
                }
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

    fn trial(&self) -> Option<Ask> {
        Some(Ask::Trial)
    }

    fn may_send_again(&self, ask: &Ask) -> bool {
        *ask != Ask::Replace
    }

    fn due(&self, (): &()) -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    fn tick(&self, (): &mut (), _watchdog: &Watchdog) -> Result<(), Error> {
        Ok(())
    }

    fn close(&self, (): &mut (), watchdog: &Watchdog) {
        let server = &*self.0;
        let _inside = Inside::of(server);
        server.closed.fetch_add(1, Ordering::SeqCst);
        let door = server.door.lock().unwrap();
        if *door == Door::Silent {
            drop(door);
            watchdog.arm_for(Duration::from_millis(1));
            server.hang();
        } else {
            drop(server.changed.wait_while(door, |door| *door == Door::Slow));
        }
    }

    fn is_needed(&self) -> bool {
        self.0.needed.load(Ordering::SeqCst)
    }

    fn idle_disconnect(&self) -> Duration {
        match self.0.idle.load(Ordering::SeqCst) {
            0 => Duration::MAX,
            idle => Duration::from_millis(idle),
        }
    }

    fn down(&self, _error: &Error) {
        self.0.downs.fetch_add(1, Ordering::SeqCst);
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
fn what_replaces_is_not_sent_again() {
    what_replaces_is_not_sent_again_by(link::<false>());
    what_replaces_is_not_sent_again_by(link::<true>());
}

fn what_replaces_is_not_sent_again_by<const CALLER_MAY_SERVE: bool>(
    (link, server): (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>),
) {
    // Idle callers serve their own asks from the second on.
    assert_eq!(ask(&link, Ask::Echo(1)).unwrap(), 1);
    assert!(ask(&link, Ask::Replace).is_err());
    assert_eq!(server.losses.load(Ordering::SeqCst), 1, "it was sent again");
    assert_eq!(ask(&link, Ask::Replace).unwrap(), 0);
    assert_eq!(server.losses.load(Ordering::SeqCst), 2);
}

#[test]
fn while_the_server_is_down_asks_are_refused_at_once() {
    while_the_server_is_down_asks_are_refused_at_once_by(link::<false>());
    while_the_server_is_down_asks_are_refused_at_once_by(link::<true>());
}

fn while_the_server_is_down_asks_are_refused_at_once_by<const CALLER_MAY_SERVE: bool>(
    (link, server): (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>),
) {
    server.door(Door::Closed);
    assert!(ask(&link, Ask::Echo(1)).is_err());
    for _ in 0..1_000 {
        assert!(ask(&link, Ask::Echo(1)).is_err());
    }
    server.door(Door::Open);
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
    the_thread_has_ended(&server);
    assert_eq!(server.closed.load(Ordering::SeqCst), 1);
}

/// The link's thread holds the other one.
fn the_thread_has_ended(server: &Arc<Server>) {
    server.when(|_| Arc::strong_count(server) == 1);
}

#[test]
fn a_connection_that_was_lost_is_not_closed_in_order() {
    let (link, server) = link::<false>();
    assert!(ask(&link, Ask::Lose).is_err());
    drop(link);
    the_thread_has_ended(&server);
    assert!(server.connections.load(Ordering::SeqCst) > 1);
    assert!(server.closed.load(Ordering::SeqCst) <= 1);
}

#[test]
fn a_server_that_is_silent_at_the_end_is_let_go_of() {
    let (link, server) = link::<false>();
    assert_eq!(ask(&link, Ask::Echo(1)).unwrap(), 1);
    server.door(Door::Silent);
    drop(link);
    the_thread_has_ended(&server);
    assert_eq!(server.closed.load(Ordering::SeqCst), 1);
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

/// A lost step must not leave its successor without a watch.
#[test]
fn every_step_that_hangs_is_let_go_of() {
    every_step_that_hangs_is_let_go_of_by(link::<false>());
    every_step_that_hangs_is_let_go_of_by(link::<true>());
}

fn every_step_that_hangs_is_let_go_of_by<const CALLER_MAY_SERVE: bool>(
    (link, _server): (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>),
) {
    for number in 0..3 {
        assert_eq!(
            block_on(link.answer(Ask::Echo(number), true)).unwrap(),
            number
        );
        // The thread has nothing to do by then, and a caller may have the connection.
        thread::sleep(Duration::from_millis(5));
        assert!(ask(&link, Ask::Hang).is_err());
    }
}

#[test]
fn a_silent_server_never_holds_more_than_one_thread() {
    let (link, server) = link::<false>();
    server.door(Door::Silent);
    assert!(ask(&link, Ask::Echo(1)).is_err());
    server.when(|server| server.attempts.load(Ordering::SeqCst) >= 3);
    server.door(Door::Open);
    server.when(|_| ask(&link, Ask::Echo(2)).is_ok());
}

#[test]
fn a_step_that_cannot_be_interrupted_keeps_asks_refused_until_it_ends() {
    let (link, server) = link::<false>();
    server.door(Door::Deaf);
    assert!(ask(&link, Ask::Echo(1)).is_err());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1_500) {
        assert!(ask(&link, Ask::Echo(1)).is_err());
        assert_eq!(server.attempts.load(Ordering::SeqCst), 1);
        thread::sleep(Duration::from_millis(1));
    }
    assert!(
        begun.elapsed() < Duration::from_millis(1_900),
        "somebody waited"
    );
    server.door(Door::Open);
    server.when(|_| ask(&link, Ask::Echo(2)).is_ok());
}

/// As the client of PostgreSQL does where there is no descriptor left.
#[test]
fn a_client_that_panics_wakes_whoever_waits_and_is_tried_again() {
    let (link, server) = link::<false>();
    server.door(Door::Panics);
    // Nothing is asked of the listener.
    link.shared().start();
    server.when(|server| server.downs.load(Ordering::SeqCst) > 0);
    assert!(ask(&link, Ask::Echo(1)).is_err());
    server.when(|server| server.attempts.load(Ordering::SeqCst) >= 5);
    server.door(Door::Open);
    server.when(|server| server.connections.load(Ordering::SeqCst) == 1);
    server.when(|_| ask(&link, Ask::Echo(2)).is_ok());
}

impl<W: Protocol> Shared<W> {
    /// As where the system has no thread left.
    pub(super) fn lack_a_thread(&self) -> io::Result<()> {
        let lack = |lacks: u32| lacks.checked_sub(1);
        let lacking = self
            .lacks_threads
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, lack);
        lacking.map_or(Ok(()), |_| Err(io::ErrorKind::WouldBlock.into()))
    }
}

#[test]
fn a_thread_that_cannot_be_started_is_tried_again_although_nobody_asks() {
    let (link, server) = link::<false>();
    link.shared().lacks_threads.store(3, Ordering::SeqCst);
    assert!(ask(&link, Ask::Echo(1)).is_err());
    assert!(ask(&link, Ask::Echo(1)).is_err(), "refused at once");
    assert_eq!(link.shared().lacks_threads.load(Ordering::SeqCst), 2);
    server.when(|server| server.connections.load(Ordering::SeqCst) == 1);
    server.when(|_| ask(&link, Ask::Echo(2)).is_ok());
}

#[test]
fn an_idle_link_is_not_looked_after() {
    let (link, server) = link::<false>();
    assert_eq!(ask(&link, Ask::Echo(1)).unwrap(), 1);
    let watchdog = &link.shared().watchdog;
    assert!(watchdog.looks_at().is_some(), "a step was taken");
    server.when(|_| watchdog.looks_at().is_none());
}

#[test]
fn a_flush_asks_nobody_where_nothing_is_queued_and_fails_where_it_was_refused() {
    let (link, server) = link::<false>();
    let flush = || block_on(link.flush(|| Ask::Echo(0)));
    flush().unwrap();
    assert_eq!(server.attempts.load(Ordering::SeqCst), 0);
    assert_eq!(ask(&link, Ask::Echo(1)).unwrap(), 1);
    server.when(|_| link.shared().is_at_rest().unwrap());
    flush().unwrap();
    assert_eq!(server.batches.load(Ordering::SeqCst), 1);
    server.door(Door::Closed);
    assert!(ask(&link, Ask::Lose).is_err());
    assert!(flush().is_err());
}

#[test]
fn a_server_that_lets_in_and_serves_nothing_costs_the_first_callers_only() {
    a_server_that_lets_in_and_serves_nothing_costs_the_first_callers_only_by(link::<false>());
    a_server_that_lets_in_and_serves_nothing_costs_the_first_callers_only_by(link::<true>());
}

fn a_server_that_lets_in_and_serves_nothing_costs_the_first_callers_only_by<
    const CALLER_MAY_SERVE: bool,
>(
    (link, server): (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>),
) {
    assert!(ask(&link, Ask::Echo(1)).is_ok());
    server.door(Door::Trap);
    server.when(|server| {
        assert!(ask(&link, Ask::Echo(1)).is_err());
        server.downs.load(Ordering::SeqCst) > 0
    });
    // From now on the server is tried without them, and ever more seldom.
    let risked = |server: &Server| {
        server.batches.load(Ordering::SeqCst) - server.trials.load(Ordering::SeqCst)
    };
    let before = risked(&server);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        assert!(ask(&link, Ask::Echo(1)).is_err());
    }
    assert_eq!(risked(&server), before);
    assert!((2..10).contains(&server.trials.load(Ordering::SeqCst)));
    server.door(Door::Open);
    server.when(|_| ask(&link, Ask::Echo(2)).is_ok());
}

/// A link that is down, whose asks ask again when they are dropped: as what holds a lock does.
struct Down;

struct AsksAgain(Option<std::sync::Weak<Link<Down>>>);

impl Drop for AsksAgain {
    fn drop(&mut self) {
        if let Some(link) = self.0.take().and_then(|link| link.upgrade()) {
            let (reply, _) = oneshot::channel();
            link.shared()
                .queue(Self(None), Reply::Channel(reply), false);
        }
    }
}

impl Protocol for Down {
    type Connection = ();
    type Ask = AsksAgain;
    type Answer = ();

    fn idle_disconnect(&self) -> Duration {
        Duration::MAX
    }

    fn name(&self) -> &str {
        "down"
    }

    fn connect(&self, _watchdog: &Watchdog) -> Result<(), Error> {
        Err(Error::unavailable("down"))
    }

    fn serve(
        &self,
        (): &mut (),
        _asks: &[AsksAgain],
        _watchdog: &Watchdog,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        Ok(Vec::new())
    }

    fn due(&self, (): &()) -> Instant {
        Instant::now()
    }

    fn tick(&self, (): &mut (), _watchdog: &Watchdog) -> Result<(), Error> {
        Ok(())
    }

    fn grace(&self) -> Duration {
        Duration::ZERO
    }
}

#[test]
fn nothing_is_dropped_under_the_lock() {
    let link = Arc::new(Link::new(Down));
    for _ in 0..100 {
        let ask = AsksAgain(Some(Arc::downgrade(&link)));
        assert!(block_on(link.answer(ask, true)).is_err());
    }
}
