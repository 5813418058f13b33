//! The example `dashboard` in a real browser: what a person sees of a computation, and what the buttons do. The last
//! sentence of case 56.

use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tests::{Browser, Computing, Run, Servers, Service, Setup, Worker, example, wait_until};
use worksharing::WorkSharing;

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const LIMIT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(300);

const PHONE: [u32; 2] = [360, 740];
const DESK: [u32; 2] = [1100, 800];

/// A key may have anything in it, and is shown as it is.
const KEY: &str = r#"report:<img src=x onerror="document.title='broken'">&amp;'2024"#;

/// The service, and a browser that has it open.
struct Opened {
    dashboard: Service,
    browser: Browser,
    origin: String,
}

fn open(arguments: &[&str], environment: &[(&str, &str)]) -> Opened {
    let mut all = vec!["--listen", "127.0.0.1:0"];
    all.extend(arguments);
    let dashboard = Service::start(&example("dashboard"), &all, environment);
    let mut browser = Browser::start();
    browser.resize(DESK);
    let origin = format!("http://{}/", dashboard.address);
    browser.open(&origin);
    Opened {
        dashboard,
        browser,
        origin,
    }
}

/// One that looks into a directory, and a runtime there.
fn open_directory() -> (TempDir, WorkSharing, Opened) {
    let directory = tempfile::tempdir().unwrap();
    let sharing = WorkSharing::in_directory(directory.path()).unwrap();
    let path = directory.path().to_str().unwrap();
    let opened = open(&[], &[("WORKSHARING_DIRECTORY", path)]);
    (directory, sharing, opened)
}

impl Opened {
    /// The page has loaded nothing from elsewhere, and was refused nothing.
    #[track_caller]
    fn behaved(&mut self) {
        let mut requested = self.browser.requested();
        requested.retain(|url| !url.starts_with(&self.origin) && url != "data:,");
        assert_eq!(requested, Vec::<String>::new());
        assert_eq!(self.browser.complaints(), Vec::<Value>::new());
        assert_eq!(self.browser.value("document.title"), "worksharing");
        assert_eq!(self.browser.value("document.images.length"), 0);
    }
}

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

/// Of a long key another process tells the beginning only. That is another key, which must not be invalidated for it.
#[test]
fn key_that_is_too_long_has_no_button() {
    let (_directory, sharing, mut opened) = open_directory();
    let long = "a".repeat(1_200);
    let computing = Computing::begin(&sharing, &long, "shop::long");
    opened.browser.reads("#keys .state", "its key is too long");
    let buttons = "[...document.querySelectorAll('#keys button')].filter((one) => one.checkVisibility()).length";
    assert_eq!(opened.browser.value(buttons), 0);
    opened.browser.resize(PHONE);
    assert_eq!(opened.browser.value(TOO_WIDE), serde_json::json!([]));
    computing.end();
    opened.behaved();
}

/// Whether the next call computes.
fn next_call_computes(sharing: &WorkSharing) -> bool {
    let mut computed = false;
    sharing.work(KEY).run_blocking(|| {
        computed = true;
        "another value".to_owned()
    });
    computed
}

#[test]
fn button_turns_the_next_call_into_a_computation() {
    let (_directory, sharing, mut opened) = open_directory();
    let browser = &mut opened.browser;
    let report = Computing::begin(&sharing, KEY, "shop::report");
    browser.reads("#keys .state", "computing");
    report.end();
    browser.reads("#keys .state", "computed");
    assert!(!next_call_computes(&sharing));

    browser.click("#keys button");
    browser.reads("#said", "is invalidated: the next call computes it");
    browser.reads("#keys .state", "invalidated");
    assert!(next_call_computes(&sharing));
    assert!(!next_call_computes(&sharing));

    browser.click("#key");
    browser.types(KEY);
    browser.click("#other button");
    wait_until(LIMIT, "it is invalidated again", || {
        next_call_computes(&sharing)
    });
    opened.behaved();
}

#[test]
fn nobody_else_can_press_the_button() {
    let (_directory, sharing, opened) = open_directory();
    assert!(next_call_computes(&sharing));
    let body = serde_json::json!({ "key": KEY }).to_string();
    let address = opened.dashboard.address.clone();
    let own = format!("Origin: http://{address}");
    let host = format!("Host: {address}");
    let press = |headers: &[&str]| {
        let mut all = vec!["Content-Type: application/json"];
        all.extend(headers);
        let answer = opened
            .dashboard
            .request_with("POST /invalidate", &all, &body, LIMIT);
        answer.unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    let other = "Origin: http://evil.example";
    assert_eq!(press(&[&host]), "403", "nobody says where it is from");
    assert_eq!(press(&[&host, other]), "403", "another site");
    assert_eq!(press(&[&host, "Origin: null"]), "403", "no site");
    let cross = "Sec-Fetch-Site: cross-site";
    assert_eq!(press(&[&host, &own, cross]), "403", "the browser says so");
    let rebound = ["Host: evil.example", "Origin: http://evil.example"];
    assert_eq!(press(&rebound), "421", "another name of this address");
    assert!(!next_call_computes(&sharing));
    assert_eq!(press(&[&host, &own]), "204");
    assert!(next_call_computes(&sharing));
}

/// A page of another origin that tries, in the same browser.
#[test]
fn page_of_another_origin_cannot_press_the_button() {
    let (_directory, sharing, mut opened) = open_directory();
    assert!(next_call_computes(&sharing));
    let elsewhere = example("axum_report");
    let elsewhere = Service::start(&elsewhere, &["0"], &[]);
    let page = format!("http://{}/stats", elsewhere.address);
    opened.browser.open(&page);
    let url = format!("{}invalidate", opened.origin);
    let body = serde_json::json!({ "key": KEY }).to_string();
    for (mode, kind) in [("no-cors", "text/plain"), ("cors", "application/json")] {
        let attempt = format!(
            "fetch({url:?}, {{ method: 'POST', mode: {mode:?}, body: {body:?}, \
             headers: {{ 'content-type': {kind:?} }} }}).then(() => 'sent', () => 'refused')"
        );
        opened.browser.value(&attempt);
    }
    assert!(!next_call_computes(&sharing));
}

/// For each of these its contrast with what is behind it.
const CONTRASTS: &str = r"
(() => {
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    const colour = numbers(getComputedStyle(element).backgroundColor);
    return colour[3] === 0 ? behind(element.parentElement) : colour;
  };
  const contrast = (element) => {
    const [a, b] = [numbers(getComputedStyle(element).color), behind(element)].map(luminance);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const texts = ['h1', 'h2', '#place', 'dt', 'dd', '.note', '.legend li', '.axis span', '.who', '.who small',
    '.bar.computes:not(.failed) span', 'code', '.name small', '.state', 'button', 'label', 'input'];
  return texts.map((text) => [text, contrast(document.querySelector(text))]);
})()";

/// Whatever reaches out of the window to its right.
const TOO_WIDE: &str = r"
[...document.querySelectorAll('body, section, code, button, input, .who, .track, dd, .state')]
  .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5)
  .map((element) => element.outerHTML.slice(0, 200))";

#[track_caller]
fn is_readable(browser: &mut Browser, size: [u32; 2], dark: bool) {
    browser.resize(size);
    browser.prefers_dark(dark);
    let scrolls = "document.documentElement.scrollWidth > innerWidth";
    assert_eq!(browser.value("innerWidth"), size[0]);
    assert_eq!(browser.value(scrolls), false, "{size:?}");
    assert_eq!(browser.value(TOO_WIDE), serde_json::json!([]), "{size:?}");
    let contrasts = browser.value(CONTRASTS);
    for contrast in contrasts.as_array().unwrap() {
        assert!(
            contrast[1].as_f64().unwrap() >= 4.5,
            "dark: {dark}: {contrast}"
        );
    }
    let back =
        browser.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] < 128");
    assert_eq!(back, dark);
}

/// The processes that a process has started.
fn children(of: u32) -> Vec<Pid> {
    let listed = Command::new("ps").args(["-A", "-o", "ppid=,pid="]).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let pairs = listed.lines().filter_map(|line| {
        let mut pair = line.split_whitespace().map(|pid| pid.parse::<i32>());
        pair.next()?.ok().zip(pair.next()?.ok())
    });
    let its_own = pairs.filter(|(parent, _)| parent.cast_unsigned() == of);
    its_own.filter_map(|(_, pid)| Pid::from_raw(pid)).collect()
}

#[test]
fn demonstration_lives_and_is_readable_anywhere() {
    // With no server, and no variable.
    let Opened {
        mut dashboard,
        mut browser,
        ..
    } = open(&[], &[]);
    browser.until(
        "processes compute, others wait",
        "document.querySelector('.bar.computes') && document.querySelector('.bar.waits.answered') !== null",
    );
    browser.reads("#rate", "%");
    browser.reads("#telling", "as told by 4 processes");
    browser.reads("#functions", "dashboard::worker::report");
    browser.until(
        "keys are known",
        "document.querySelectorAll('#keys button').length > 3",
    );
    for size in [DESK, PHONE] {
        for dark in [false, true] {
            is_readable(&mut browser, size, dark);
        }
    }
    let buttons = browser.names_of("button");
    let mut different = buttons.clone();
    different.sort();
    different.dedup();
    assert!(
        buttons.iter().all(|name| name.starts_with("Invalidate")),
        "{buttons:?}"
    );
    assert_eq!(different.len(), buttons.len(), "{buttons:?}");

    let workers = children(dashboard.pid());
    assert_eq!(workers.len(), 4);
    kill_process(workers[0], Signal::KILL).unwrap();
    browser.reads("#telling", "as told by 3 processes");
    dashboard.terminate();
    assert!(dashboard.ends_well());
    browser.reads("#trouble", "does not answer");
    wait_until(LIMIT, "its processes have ended", || {
        workers.iter().all(|pid| test_kill_process(*pid).is_err())
    });
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
