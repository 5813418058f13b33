//! The directory's lock between two processes: this test program runs itself as the other one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use worksharing::Key;
use worksharing::lock::{Caller, Directory, Lock, LockGuard};

const DIRECTORY: &str = "WORKSHARING_TEST_DIRECTORY";
/// How the other process is let go.
const RELEASE: &str = "release";

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn take(lock: &Directory) -> Option<LockGuard> {
    block_on(lock.try_lock(&Key::new("key"), Caller::Outermost)).unwrap()
}

/// Not a test by itself: what the other process does, holding the lock until it is told or killed.
#[test]
#[ignore = "run by the tests below"]
fn holder() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let lock = Directory::new(directory).unwrap();
    let guard = take(&lock).expect("the lock is free");
    println!("\nheld");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    assert_eq!(line.trim(), RELEASE);
    drop(guard);
}

fn start_holder(directory: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holder", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        output.any(|line| line.unwrap() == "held"),
        "the other process holds nothing"
    );
    // Keeps the pipe open, so that the other process may go on writing.
    thread::spawn(move || output.for_each(drop));
    child
}

/// Waits for the lock as the flow does. Returns how long it took.
fn wait(lock: &Directory) -> Duration {
    let begun = Instant::now();
    let mut waiter = block_on(lock.register_waiter(&Key::new("key"))).unwrap();
    while take(lock).is_none() {
        block_on(waiter.woken()).unwrap();
    }
    begun.elapsed()
}

#[test]
fn a_release_elsewhere_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let lock = Directory::new(directory.path()).unwrap();
    let mut child = start_holder(directory.path());
    assert!(take(&lock).is_none());
    let waited = thread::scope(|scope| {
        let waited = scope.spawn(|| wait(&lock));
        use std::io::Write as _;
        writeln!(child.stdin.take().unwrap(), "{RELEASE}").unwrap();
        waited.join().unwrap()
    });
    assert!(child.wait().unwrap().success());
    assert!(waited < Duration::from_secs(5), "{waited:?}");
}

#[test]
fn a_killed_holder_is_succeeded_soon() {
    let directory = tempfile::tempdir().unwrap();
    let lock = Directory::new(directory.path()).unwrap();
    let mut child = start_holder(directory.path());
    assert!(take(&lock).is_none());
    let took = thread::scope(|scope| {
        let waiting = scope.spawn(|| wait(&lock));
        // Long enough that the waiter looks at its longest interval.
        thread::sleep(Duration::from_millis(300));
        let killed = Instant::now();
        child.kill().unwrap();
        waiting.join().unwrap();
        killed.elapsed()
    });
    child.wait().unwrap();
    eprintln!("taken over {took:?} after the kill");
    assert!(took < Duration::from_millis(1_500), "{took:?}");
}
