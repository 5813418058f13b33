//! The example `dashboard` in a real browser: what a person sees of a computation, and what the buttons do. The last
//! sentence of case 56.

mod buttons;
mod opened;
mod readable;

use std::time::Duration;

use tests::{Computing, Run, Servers, Setup, Worker};
use worksharing::WorkSharing;

use opened::{KEY, Opened, open, open_directory};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LONG: Duration = Duration::from_secs(300);

fn computation_begins_waits_and_ends(setup: &Setup, sharing: &WorkSharing, opened: &mut Opened) {
    let browser = &mut opened.browser;
    browser.reads("#quiet", "Nothing is being computed");

    let report = Computing::begin(sharing, KEY, "shop::report");
    let process = format!("process {}", std::process::id());
    browser.reads("#processes", &process);
    browser.reads("#processes .bar.computes", KEY);
    browser.reads("#keys li", KEY);
    browser.reads("#keys li", "shop::report");
    browser.reads("#keys .state", &format!("s in {process}"));
    let width = "document.querySelector('.bar.computes').getBoundingClientRect().width";
    let before = browser.value(width).as_f64().unwrap();
    browser.until("the bar grows", &format!("{width} > {before} + 10"));
    let spoken = browser.names_of("image").join(" ");
    assert!(spoken.contains(&format!("computes {KEY}")), "{spoken}");

    let mut waiter = Worker::start(WORKER, setup);
    waiter.run(&Run::of(KEY, LONG));
    browser.reads("#processes .bar.computes", "1 process waits");
    browser.reads("#keys .state", "1 process waits");

    report.end();
    browser.reads("#keys .state", "s ago in");
    let open = "document.querySelector('.bar.computes').dataset.open";
    assert_eq!(browser.value(open), "false");
    opened.behaved();
}

#[test]
fn computation_of_another_process_begins_waits_and_ends() {
    let (directory, sharing, mut opened) = open_directory();
    let setup = Setup::in_directory(directory.path());
    computation_begins_waits_and_ends(&setup, &sharing, &mut opened);
}

#[test]
fn computation_on_servers_begins_waits_and_ends() {
    let servers = Servers::start();
    let (postgres, redis) = (servers.postgres.url(), servers.redis.url());
    let environment = [
        ("WORKSHARING_POSTGRES_URL", &*postgres),
        ("WORKSHARING_REDIS_URL", &*redis),
    ];
    let mut opened = open(&[], &environment);
    computation_begins_waits_and_ends(&servers.setup(), &servers.sharing(), &mut opened);
}

#[test]
fn trouble_with_a_server_is_told() {
    let nobody = [(
        "WORKSHARING_POSTGRES_URL",
        "postgres://nobody@127.0.0.1:9/none",
    )];
    let mut opened = open(&[], &nobody);
    opened
        .browser
        .reads("#trouble", "What is computed is not known");
    opened
        .browser
        .reads("#telling", "No process tells its numbers");
}
