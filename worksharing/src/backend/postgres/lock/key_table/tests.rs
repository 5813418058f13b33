use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::*;

fn keys(number: i64) -> LockKeys {
    LockKeys {
        lock: number,
        interest: -number,
    }
}

fn claim(table: &Arc<KeyTable>, number: i64) -> Option<Claim> {
    table.claim(keys(number), table.permits().try_acquire()?)
}

fn woken(table: &KeyTable, ticket: Ticket) -> Poll<Option<i64>> {
    let mut context = Context::from_waker(Waker::noop());
    let woken = table.poll_woken(ticket, &mut context);
    woken.map(|woken| Some(woken.unwrap()?.asked().lock))
}

#[test]
fn only_what_is_due_is_polled_for_in_the_order_of_time() {
    let table = KeyTable::new(10);
    table.heard(true);
    let tickets: Vec<_> = (1..=3).map(|number| table.enter(keys(number))).collect();
    let later = Instant::now() + Duration::from_millis(150);
    assert!(table.due(Instant::now()).claims.is_empty());
    let due = table.due(later);
    let polled: Vec<_> = due.claims.iter().map(|claim| claim.asked().lock).collect();
    assert_eq!(polled, [1, 2, 3]);
    // Each has its next interval, and what is asked for is not polled for.
    assert!(table.next_due().is_some_and(|next| next > later));
    let much_later = later + Duration::from_secs(5);
    assert!(table.due(much_later).claims.is_empty());
    drop(due);
    for ticket in &tickets[..2] {
        table.leave(*ticket);
    }
    let due = table.due(much_later + Duration::from_secs(5));
    assert_eq!(due.claims[0].asked().lock, 3);
    assert_eq!(due.claims.len(), 1);
    drop(due);
    table.leave(tickets[2]);
    assert!(table.next_due().is_none() && table.keys().states.is_empty());
}

#[test]
fn what_nobody_hears_of_is_polled_for_often() {
    let table = KeyTable::new(10);
    let ticket = table.enter(keys(1));
    let mut now = Instant::now();
    // Soon at first, and then less often, or a thousand processes would keep the server from letting them listen.
    now += Duration::from_millis(50);
    assert_eq!(table.due(now).claims.len(), 1);
    now += Duration::from_millis(91);
    assert_eq!(table.due(now).claims.len(), 1);
    for _ in 0..100 {
        now += Duration::from_millis(301);
        assert_eq!(table.due(now).claims.len(), 1);
    }
    now += Duration::from_millis(199);
    assert_eq!(table.due(now).claims.len(), 0);
    table.heard(true);
    assert!(table.marked(ticket, 1));
    for _ in 0..20 {
        now += Duration::from_secs(2);
        assert_eq!(table.due(now).claims.len(), 1);
    }
    now += Duration::from_millis(700);
    assert!(table.due(now).claims.is_empty());
}

#[test]
fn where_no_more_may_be_held_keys_are_only_looked_at() {
    let table = KeyTable::new(1);
    let held = claim(&table, 1).unwrap();
    table.enter(keys(2));
    let due = table.due(Instant::now() + Duration::from_secs(1));
    assert!(due.claims.is_empty());
    assert_eq!(due.barred, [2]);
    drop(held);
    let due = table.due(Instant::now() + Duration::from_secs(2));
    assert_eq!((due.claims.len(), due.barred.len()), (1, 0));
}

#[test]
fn a_key_is_held_by_the_claim_that_was_granted_and_by_no_other() {
    let table = KeyTable::new(10);
    let asked_for = claim(&table, 1).unwrap();
    let asked = asked_for.asked();
    assert!(claim(&table, 1).is_none());
    assert!(!table.holds(asked), "its answer may be lost");
    let held = asked_for.granted(7);
    assert_eq!(held.held().session, 7);
    assert!(table.holds(asked));
    drop(held);
    assert!(!table.holds(asked));
    let next = claim(&table, 1).unwrap().granted(7);
    assert_ne!(next.asked(), asked);
    assert!(table.holds(next.asked()) && !table.holds(asked));
}

#[test]
fn a_key_that_polling_won_goes_to_who_came_first_or_back() {
    let table = KeyTable::new(10);
    let tickets = [table.enter(keys(1)), table.enter(keys(1))];
    let won = claim(&table, 1).unwrap().granted(1);
    assert!(table.hand_over(won).is_none());
    // Neither a release that is heard of nor a lost server takes it away.
    table.released(1);
    table.down(&Error::unavailable("gone"));
    let (_, claimed) = table.leave(tickets[0]);
    assert_eq!(claimed.as_ref().map(|claim| claim.held().session), Some(1));
    assert!(claim(&table, 1).is_none());
    drop(claimed);
    table.leave(tickets[1]);
    let won = claim(&table, 1).unwrap().granted(1);
    assert!(table.hand_over(won).is_some());
    assert!(table.keys().states.is_empty());
}

#[test]
fn one_who_was_refused_looks_when_the_claim_is_given_up() {
    let table = KeyTable::new(10);
    let asked_for = claim(&table, 1);
    let ticket = table.enter(keys(1));
    assert_eq!(woken(&table, ticket), Poll::Pending);
    assert!(claim(&table, 1).is_none());
    drop(asked_for);
    assert_eq!(woken(&table, ticket), Poll::Ready(None));
    assert_eq!(woken(&table, ticket), Poll::Pending);
}

#[test]
fn interest_is_shown_again_in_a_new_session_and_once_somebody_listens() {
    let table = KeyTable::new(10);
    let ticket = table.enter(keys(1));
    assert!(table.wants_mark(ticket));
    table.not_marked(ticket, true);
    assert!(!table.wants_mark(ticket));
    table.heard(true);
    assert!(table.wants_mark(ticket));
    // Asked before, answered after somebody listens.
    table.not_marked(ticket, true);
    assert!(table.wants_mark(ticket));
    assert!(table.marked(ticket, 1));
    assert!(!table.marked(ticket, 1), "shown once too often");
    table.connected();
    assert!(table.wants_mark(ticket));
    // There is no room for it.
    table.not_marked(ticket, false);
    assert!(!table.wants_mark(ticket));
    assert_eq!(table.leave(ticket).0, None);
    assert!(!table.marked(ticket, 2), "nobody is there any more");
}
