use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use postgres::fallible_iterator::FallibleIterator as _;
use postgres::{Client, NoTls};
use tests::{LateWakeUp, Timeline, now_us};
use worksharing::Key;

/// Longer than a thread of an idle machine sleeps too long.
const STALL_US: u64 = 4_000;
/// What comes later is the release of whoever computed next.
const ONE_TURN_US: u64 = 20_000;
/// So much of the time before and after a late wake-up is shown with it.
const AROUND_US: u64 = 500_000;

/// What can be known of a late wake-up beside what the workers tell: when which release was notified, and when
/// the machine stood still.
pub(crate) struct Witness(Arc<Shared>);

#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// When, and of which lock key.
    notified: Vec<(u64, i64)>,
    /// From when to when, and which worker; `None` is the whole machine.
    stood_still: Vec<(u64, u64, Option<u32>)>,
    /// What the workers logged: their process, and the line, which begins with the time.
    logged: Vec<(u32, String)>,
}

impl Witness {
    pub(crate) fn start(url: String) -> Self {
        let shared = Arc::<Shared>::default();
        let (hears, feels) = (Arc::clone(&shared), Arc::clone(&shared));
        thread::spawn(move || hears.hear(&url));
        thread::spawn(move || feels.feel());
        Self(shared)
    }

    /// A worker was stopped from then to then.
    pub(crate) fn froze(&self, pid: u32, from: u64, to: u64) {
        let mut seen = self.0.seen.lock().unwrap();
        seen.stood_still.push((from, to, Some(pid)));
    }

    pub(crate) fn logged(&self, pid: u32, lines: Vec<String>) {
        let lines = lines.into_iter().map(|line| (pid, line));
        self.0.seen.lock().unwrap().logged.extend(lines);
    }

    /// Whether the wake-up is late for a reason that is none of ours. Prints what is known.
    pub(crate) fn explains(&self, late: &LateWakeUp, timeline: &Timeline) -> bool {
        let seen = self.0.seen.lock().unwrap();
        let explained = seen.since_release(late).is_explained_by(&seen.spans());
        let after = |at: u64| (at as f64 - late.ended as f64) / 1_000.0;
        println!(
            "  late wake-up, {}: {:?}, {:.1} ms after a body's end in process {}",
            if explained {
                "explained"
            } else {
                "NOT EXPLAINED"
            },
            late.key,
            after(late.stirred),
            late.leader,
        );
        let about = late.ended.saturating_sub(AROUND_US)..=late.stirred.saturating_add(AROUND_US);
        for (at, what) in seen.about(late, timeline, &about) {
            println!("    {:9.1} ms: {what}", after(at));
        }
        explained
    }

    /// The next round is another one.
    pub(crate) fn forget(&self) {
        *self.0.seen.lock().unwrap() = Seen::default();
    }
}

impl Seen {
    /// The wake-up counted from the moment at which the release was notified: a put that the store takes long for is
    /// not what a waiter sleeps through. A release that was never notified leaves it as it is.
    fn since_release(&self, late: &LateWakeUp) -> LateWakeUp {
        let soon = late.ended..=late.stirred.saturating_add(ONE_TURN_US);
        let after = self.releases(late).filter(|at| soon.contains(at));
        LateWakeUp {
            ended: after.min().map_or(late.ended, |at| at.min(late.stirred)),
            ..late.clone()
        }
    }

    /// When releases of its key were notified.
    fn releases(&self, late: &LateWakeUp) -> impl Iterator<Item = u64> {
        let key = Key::new(late.key.as_str()).lock_key();
        let notified = self.notified.iter().filter(move |(_, of)| *of == key);
        notified.map(|(at, _)| *at)
    }

    fn spans(&self) -> Vec<(u64, u64)> {
        let spans = self.stood_still.iter();
        spans.map(|(from, to, _)| (*from, *to)).collect()
    }

    /// Everything that is known of this time, in its order.
    fn about(
        &self,
        late: &LateWakeUp,
        timeline: &Timeline,
        about: &RangeInclusive<u64>,
    ) -> Vec<(u64, String)> {
        let notified = self.releases(late);
        let notified = notified.map(|at| (at, "the release was notified".to_owned()));
        let stood_still = self.stood_still.iter().map(|(from, to, pid)| {
            let what = pid.map_or("the machine".to_owned(), |pid| format!("process {pid}"));
            let time = (to - from) / 1_000;
            (*to, format!("{what} stood still for {time} ms until now"))
        });
        let logged = self.logged.iter().map(|(pid, line)| {
            let (at, text) = line.split_once(' ').unwrap_or(("", line));
            let text = format!("process {pid} logged {}", text.trim());
            (at.parse().unwrap_or(0), text)
        });
        let mut all: Vec<_> = notified.chain(stood_still).chain(logged).collect();
        all.retain(|(at, _)| about.contains(at));
        all.extend(timeline.key(&late.key).describe(about.clone()));
        all.sort();
        all
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.ended.store(true, SeqCst);
    }
}

impl Shared {
    fn hear(&self, url: &str) {
        while !self.ended.load(SeqCst) {
            // The server may be down.
            let _ = self.hear_once(url);
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn hear_once(&self, url: &str) -> Result<(), postgres::Error> {
        let mut client = Client::connect(&format!("{url}?application_name=the%20test"), NoTls)?;
        client.batch_execute("LISTEN worksharing")?;
        while !self.ended.load(SeqCst) {
            let mut heard = client.notifications();
            let mut heard = heard.timeout_iter(Duration::from_millis(500));
            while let Some(notification) = heard.next()? {
                let key = notification.payload().parse().unwrap_or(0);
                self.seen.lock().unwrap().notified.push((now_us(), key));
            }
        }
        Ok(())
    }

    /// Sleeps, and notes when it slept too long.
    fn feel(&self) {
        const SLEEP_US: u64 = 2_000;
        while !self.ended.load(SeqCst) {
            let from = now_us() + SLEEP_US;
            thread::sleep(Duration::from_micros(SLEEP_US));
            let to = now_us();
            if to > from + STALL_US {
                self.seen.lock().unwrap().stood_still.push((from, to, None));
            }
        }
    }
}
