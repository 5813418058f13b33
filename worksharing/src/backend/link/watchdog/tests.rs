use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// A watch, and the times in milliseconds at which it is looked at.
struct Looks {
    begun: Instant,
    watch: Watch,
    looks: Vec<u64>,
    moved: Arc<Moved>,
}

#[derive(Default)]
struct Moved(AtomicU64);

impl Interrupt for Moved {
    fn interrupt(&self) {}

    fn progress(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Looks {
    fn new() -> Self {
        let moved = Arc::<Moved>::default();
        let connection: Weak<dyn Interrupt> = Arc::downgrade(&moved) as _;
        Self {
            begun: Instant::now(),
            watch: Watch {
                connections: vec![connection],
                ..Watch::default()
            },
            looks: vec![],
            moved,
        }
    }

    fn at(&self, millis: u64) -> Instant {
        self.begun + Duration::from_millis(millis)
    }

    fn plan(&mut self) {
        let begun = self.begun;
        let next = self.watch.next_look();
        self.looks
            .extend(next.map(|at| (at - begun).as_millis() as u64));
    }

    fn arm(&mut self, now: u64, patience: u64) {
        let until = self.at(now + patience);
        self.watch.allow(until);
        self.plan();
    }

    /// The next planned look comes, at this time. Returns whether the step is overdue.
    fn look(&mut self, now: u64) -> bool {
        self.watch.looks_at = None;
        let is_overdue = self.watch.is_overdue(self.at(now));
        self.plan();
        is_overdue
    }
}

#[test]
fn many_steps_take_one_look_and_none_when_the_link_is_idle() {
    let mut link = Looks::new();
    for now in 0..3_000 {
        link.arm(now, 3_000);
    }
    assert_eq!(link.looks, [3_000]);
    // A step that is under way.
    assert!(!link.look(3_000));
    assert_eq!(link.looks, [3_000, 5_999]);
    link.watch.deadline = None;
    assert!(!link.look(5_999));
    assert_eq!(link.looks, [3_000, 5_999]);
    // A shorter one is not to wait for the look of a longer one.
    link.arm(6_000, 6_000);
    link.arm(6_000, 3_000);
    assert_eq!(link.looks, [3_000, 5_999, 12_000, 9_000]);
}

#[test]
fn overdue_is_what_has_had_its_time_while_the_process_ran() {
    let mut link = Looks::new();
    link.arm(0, 3_000);
    assert!(!link.look(3_000));
    assert!(link.look(3_250));
    assert!(!link.look(3_500), "said twice");
    // The whole process is stopped, and goes on: once before the time is out, and twice after it.
    link.arm(4_000, 3_000);
    assert!([60_000, 90_000, 90_250].map(|now| link.look(now)) == [false, false, true]);
    // The next step begins in the time that was given to the last one.
    link.arm(100_000, 3_000);
    assert!(!link.look(103_000));
    link.arm(103_100, 3_000);
    assert!([103_250, 106_100, 106_350].map(|now| link.look(now)) == [false, false, true]);
}

#[test]
fn what_moves_has_more_time_but_not_for_ever() {
    let mut link = Looks::new();
    let until = link.at(9_000);
    link.watch.moving = Some(Moving {
        patience: Duration::from_secs(3),
        until,
        progress: 0,
    });
    link.arm(0, 3_000);
    for now in [3_000, 6_000] {
        link.moved.0.fetch_add(1, Ordering::Relaxed);
        assert!(!link.look(now));
    }
    // In the time that it is given on top it counts, too.
    let moves = |link: &mut Looks, now| {
        link.moved.0.fetch_add(1, Ordering::Relaxed);
        link.look(now)
    };
    assert_eq!(link.looks, [3_000, 6_000, 9_000]);
    assert!(!moves(&mut link, 9_000), "has its grace");
    assert!(moves(&mut link, 9_250), "{:?}", link.looks);
}
