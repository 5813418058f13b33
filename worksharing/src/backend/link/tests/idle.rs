//! Links that nobody needs.

use std::sync::Barrier;

use super::*;

/// A link that has been asked once, and whose connection is closed after so many milliseconds.
fn asked<const CALLER_MAY_SERVE: bool>(idle: u64) -> (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>) {
    let (link, server) = link();
    server.idle.store(idle, Ordering::SeqCst);
    assert_eq!(ask(&link, Ask::Echo(1)).unwrap(), 1);
    (link, server)
}

impl Server {
    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }

    fn is_at_rest(&self) -> bool {
        self.closed() == self.connections()
    }
}

fn has_a_thread<const CALLER_MAY_SERVE: bool>(link: &Link<Fake<CALLER_MAY_SERVE>>) -> bool {
    link.shared().state().running
}

#[test]
fn an_idle_link_has_no_connection_and_no_thread_and_wakes_when_it_is_asked() {
    an_idle_link_has_no_connection_and_wakes_by(asked::<false>(20));
    an_idle_link_has_no_connection_and_wakes_by(asked::<true>(20));
}

fn an_idle_link_has_no_connection_and_wakes_by<const CALLER_MAY_SERVE: bool>(
    (link, server): (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>),
) {
    for times in 1..=3 {
        server.when(|_| !has_a_thread(&link));
        assert!(server.is_at_rest());
        assert_eq!(server.closed(), times);
        assert_eq!(ask(&link, Ask::Echo(times)).unwrap(), times);
        assert_eq!(server.connections(), times + 1);
    }
    drop(link);
    the_thread_has_ended(&server);
}

#[test]
fn a_link_that_is_asked_or_needed_keeps_its_connection() {
    a_link_that_is_asked_or_needed_keeps_its_connection_by(asked::<false>(500));
    a_link_that_is_asked_or_needed_keeps_its_connection_by(asked::<true>(500));
}

fn a_link_that_is_asked_or_needed_keeps_its_connection_by<const CALLER_MAY_SERVE: bool>(
    (link, server): (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>),
) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1_200) {
        assert_eq!(ask(&link, Ask::Echo(2)).unwrap(), 2);
        thread::sleep(Duration::from_millis(5));
    }
    server.needed.store(true, Ordering::SeqCst);
    thread::sleep(Duration::from_millis(1_200));
    assert_eq!((server.connections(), server.closed()), (1, 0));
    server.needed.store(false, Ordering::SeqCst);
    server.when(|_| !has_a_thread(&link));
    assert_eq!((server.connections(), server.closed()), (1, 1));
}

#[test]
fn what_is_asked_while_the_connection_closes_is_served_by_the_next_one() {
    what_is_asked_while_the_connection_closes_is_served_by_the_next_one_by(asked::<false>(20));
    what_is_asked_while_the_connection_closes_is_served_by_the_next_one_by(asked::<true>(20));
}

fn what_is_asked_while_the_connection_closes_is_served_by_the_next_one_by<
    const CALLER_MAY_SERVE: bool,
>(
    (link, server): (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>),
) {
    server.door(Door::Slow);
    server.when(|server| server.closed() == 1);
    assert!(has_a_thread(&link), "it is still in there");
    thread::scope(|scope| {
        let asked: Vec<_> = (0..4)
            .map(|number| {
                let link = &link;
                scope.spawn(move || ask(link, Ask::Echo(number)).unwrap())
            })
            .collect();
        server.when(|_| link.shared().state().asks.len() == 4);
        assert_eq!(server.connections(), 1, "a second one beside the first");
        server.door(Door::Open);
        let answers: Vec<_> = asked.into_iter().map(|it| it.join().unwrap()).collect();
        assert_eq!(answers, [0, 1, 2, 3]);
    });
    assert_eq!(server.connections(), 2);
}

#[test]
fn what_is_needed_while_the_connection_closes_is_connected_again() {
    let (link, server) = asked::<false>(20);
    for needed in [false, true] {
        let before = server.connections();
        server.door(Door::Slow);
        server.when(|server| server.closed() == before);
        server.needed.store(needed, Ordering::SeqCst);
        link.shared().start();
        server.door(Door::Open);
        server.when(|server| server.connections() == before + 1);
    }
    server.needed.store(false, Ordering::SeqCst);
    server.when(|_| !has_a_thread(&link));
    // And from its sleep.
    let before = server.connections();
    link.shared().start();
    server.when(|server| server.connections() == before + 1);
}

#[test]
fn a_server_that_is_silent_when_an_idle_link_takes_its_leave_is_let_go_of() {
    let (link, server) = asked::<false>(20);
    server.door(Door::Silent);
    server.when(|_| !has_a_thread(&link));
    server.door(Door::Open);
    assert_eq!(ask(&link, Ask::Echo(2)).unwrap(), 2);
}

#[test]
fn a_link_whose_server_is_down_falls_asleep_too() {
    let (link, server) = link::<false>();
    server.idle.store(20, Ordering::SeqCst);
    server.door(Door::Closed);
    assert!(ask(&link, Ask::Echo(1)).is_err());
    server.when(|_| !has_a_thread(&link));
    let attempts = server.attempts.load(Ordering::SeqCst);
    thread::sleep(Duration::from_millis(200));
    assert_eq!(server.attempts.load(Ordering::SeqCst), attempts);
    server.door(Door::Open);
    assert_eq!(ask(&link, Ask::Echo(2)).unwrap(), 2, "it was not tried");
}

/// At the very moment, and often.
#[test]
fn nothing_that_is_asked_when_a_link_falls_asleep_is_lost() {
    nothing_that_is_asked_when_a_link_falls_asleep_is_lost_by(asked::<false>(10));
    nothing_that_is_asked_when_a_link_falls_asleep_is_lost_by(asked::<true>(10));
}

fn nothing_that_is_asked_when_a_link_falls_asleep_is_lost_by<const CALLER_MAY_SERVE: bool>(
    (link, server): (Link<Fake<CALLER_MAY_SERVE>>, Arc<Server>),
) {
    let both = Barrier::new(2);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for number in 0..150 {
                    both.wait();
                    assert_eq!(ask(&link, Ask::Echo(number)).unwrap(), number);
                    // Around the end of the time that it takes.
                    thread::sleep(Duration::from_micros(9_500 + 37 * (number as u64 % 27)));
                }
            });
        }
    });
    let connections = server.connections();
    assert!(connections > 10, "it slept {connections} times");
    server.when(|_| !has_a_thread(&link));
    assert!(server.is_at_rest());
}
