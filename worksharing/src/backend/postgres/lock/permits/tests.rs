use std::time::{Duration, Instant};

use super::{PATIENCE, Permit, Permits};
use crate::blocking::block_on;
use crate::{Error, ErrorKind};

fn free(permits: &std::sync::Arc<Permits>) -> Vec<Permit> {
    std::iter::from_fn(|| permits.try_acquire()).collect()
}

// Case 28.
#[test]
fn sixty_thousand_who_gave_up_are_passed_over_on_a_small_stack() {
    let run = || {
        let permits = Permits::new(1);
        let held = free(&permits).pop();
        for _ in 0..60_000 {
            drop(permits.queue());
        }
        drop(held);
        assert_eq!(free(&permits).len(), 1);
    };
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    thread.spawn(run).unwrap().join().unwrap();
}

// Each is given the place by the one before, who does not take it.
#[test]
fn places_that_are_given_and_not_taken_go_on() {
    let permits = Permits::new(1);
    let held = free(&permits).pop();
    let queued: Vec<_> = (0..60_000).map(|_| permits.queue()).collect();
    drop(held);
    drop(queued);
    assert_eq!(free(&permits).len(), 1);
}

#[test]
fn nobody_gets_more_than_there_is() {
    let permits = Permits::new(2);
    let mut held = free(&permits);
    assert_eq!(held.len(), 2);
    assert!(permits.try_acquire().is_none());
    let mut queued = [permits.queue(), permits.queue()];
    let now = Instant::now();
    assert!(permits.expire(now).is_some_and(|next| next > now));
    held.pop();
    let first = block_on(&mut queued[0]).unwrap().unwrap();
    assert!(
        permits
            .expire(now + PATIENCE + Duration::from_secs(1))
            .is_none()
    );
    let refused = block_on(&mut queued[1]).unwrap().err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(permits.try_acquire().is_none());
    drop((held, first));
    assert_eq!(free(&permits).len(), 2);
}

#[test]
fn a_lost_server_refuses_all_who_queue() {
    let permits = Permits::new(1);
    let _held = free(&permits);
    let queued = permits.queue();
    permits.refuse(&Error::unavailable("gone"));
    assert!(block_on(queued).unwrap().is_err());
}
