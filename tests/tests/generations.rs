//! Case 18: threads use a value that expires; whoever finds it missing creates it anew.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use tests::Servers;
use worksharing::WorkSharing;

#[test]
fn generations_of_two_seconds_never_overlap() {
    let servers = Servers::start();
    generations(
        &servers.sharing(),
        10,
        Duration::from_secs(2),
        Duration::from_millis(500),
        50,
    );
}

#[test]
fn generations_of_five_seconds_never_overlap() {
    let servers = Servers::start();
    generations(
        &servers.sharing(),
        10,
        Duration::from_secs(5),
        Duration::from_secs(2),
        50,
    );
}

fn generations(
    sharing: &WorkSharing,
    threads: usize,
    expiry: Duration,
    creation: Duration,
    uses: u64,
) {
    let (creating, created) = (AtomicBool::new(false), AtomicUsize::new(0));
    let began = Instant::now();
    let create = || {
        assert!(!creating.swap(true, SeqCst), "two at once");
        thread::sleep(creation);
        creating.store(false, SeqCst);
        created.fetch_add(1, SeqCst)
    };
    thread::scope(|scope| {
        for number in 0..threads as u64 {
            scope.spawn(move || {
                for using in 0..uses {
                    sharing.work("generation").ttl(expiry).run_blocking(create);
                    // Anything but in step: 0 to 400 ms.
                    thread::sleep(Duration::from_millis(
                        (number * 7_919 + using * 104_729) % 400,
                    ));
                }
            });
        }
    });
    let (run, created) = (began.elapsed(), created.load(SeqCst));
    let most = run.as_secs_f64() / expiry.as_secs_f64();
    assert!(
        (2..=most.ceil() as usize).contains(&created),
        "{created} creations in {run:?}"
    );
}
