//! A computation that goes on for long is warned of once. Number 23 of the issue on bounds: a future that leads and is
//! kept without being polled cannot be told from it.

use std::io;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Waker};
use std::time::Duration;

use tests::wait_until;
use worksharing::WorkSharing;

static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Said;

impl io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SAID.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn warnings() -> usize {
    let said = String::from_utf8_lossy(&SAID.lock().unwrap()).into_owned();
    said.matches("a computation goes on for long").count()
}

#[test]
fn computation_that_is_kept_without_being_polled_is_warned_of_once() {
    tracing_subscriber::fmt().with_writer(|| Said).init();
    let sharing = WorkSharing::builder()
        .long_computation(Duration::from_secs(1))
        .build()
        .unwrap();
    let mut kept = pin!(
        sharing
            .work("kept")
            .run(async || std::future::pending::<u32>().await)
    );
    let polled = kept.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "it computes");
    wait_until(Duration::from_secs(20), "it is warned of", || {
        warnings() > 0
    });
    // Two looks later.
    std::thread::sleep(Duration::from_secs(9));
    assert_eq!(warnings(), 1);
}
