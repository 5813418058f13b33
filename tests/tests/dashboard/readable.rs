//! On whatever screen, and with colours as its owner prefers them.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tests::{Browser, wait_until};

use crate::opened::{DESK, LIMIT, Opened, PHONE, open};

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
pub(crate) const TOO_WIDE: &str = r"
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
