use std::sync::mpsc::channel;
use std::task::Poll;

use super::*;

#[test]
fn timers_come_in_order_and_dropped_ones_do_not_come() {
    let (sender, receiver) = channel();
    for (name, time) in [("late", 60), ("soon", 20)] {
        let sender = sender.clone();
        after(Duration::from_millis(time), move || {
            sender.send(name).unwrap_or_default()
        });
    }
    let never = sender.clone();
    drop(timer(Duration::from_millis(1), move || {
        never.send("never").unwrap_or_default();
    }));
    drop(sender);
    assert_eq!(receiver.iter().collect::<Vec<_>>(), ["soon", "late"]);
}

#[test]
fn a_panic_ends_nobody_elses_timers() {
    let (sender, receiver) = channel();
    after(Duration::ZERO, || std::panic::resume_unwind(Box::new(())));
    after(Duration::from_millis(1), move || {
        sender.send(()).unwrap_or_default()
    });
    receiver.recv().unwrap();
}

#[test]
fn a_spawned_future_is_driven_to_its_end() {
    let (sender, receiver) = channel();
    let (go, gone) = futures_channel::oneshot::channel::<()>();
    spawn(async move {
        gone.await.unwrap();
        sender.send(()).unwrap();
    });
    go.send(()).unwrap();
    receiver.recv().unwrap();
}

/// What the closure does when it is polled for the first, the second time…
fn polled(mut poll: impl FnMut(u32, &Waker) -> Poll<()> + Send + 'static) {
    let mut polls = 0;
    spawn(std::future::poll_fn(move |context| {
        polls += 1;
        poll(polls, context.waker())
    }));
}

#[test]
fn a_future_that_is_woken_while_it_is_polled_is_polled_once_more() {
    let (sender, receiver) = channel();
    polled(move |polls, waker| {
        sender.send(polls).unwrap();
        if polls == 1 {
            waker.wake_by_ref();
            let waker = waker.clone();
            thread::spawn(|| waker.wake()).join().unwrap();
        }
        // Were a wake-up lost, it would never be polled again; were one too many, `receiver` would tell.
        if polls < 2 {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    });
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_future_that_has_ended_or_panicked_is_dropped_and_not_polled_again() {
    for panics in [false, true] {
        let (sender, receiver) = channel();
        let (wakers, waker) = channel();
        polled(move |polls, waker| {
            sender.send(polls).unwrap();
            wakers.send(waker.clone()).unwrap();
            if panics {
                std::panic::resume_unwind(Box::new(()));
            }
            Poll::Ready(())
        });
        waker.recv().unwrap().wake();
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [1]);
    }
}

#[test]
fn a_timer_of_centuries_does_not_come() {
    drop(timer(Duration::MAX, || unreachable!()));
}

/// As a forked child has it: locked by a thread of its parent's.
#[test]
fn what_was_inherited_is_neither_waited_for_nor_driven() {
    let inherited: &'static Background = Box::leak(Box::default());
    let _locked = inherited.state();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let key = (Instant::now(), 0);
        drop(Timer {
            background: inherited,
            key,
        });
        let task: Task = Box::pin(async { unreachable!("it is the parent's to drive") });
        let spawned = Spawned {
            background: inherited,
            task: Mutex::new(Some(task)),
            is_queued: AtomicBool::new(false),
        };
        Arc::new(spawned).wake();
        sender.send(()).unwrap();
    });
    let ended = receiver.recv_timeout(Duration::from_secs(10));
    assert!(ended.is_ok(), "it waits for ever");
}
