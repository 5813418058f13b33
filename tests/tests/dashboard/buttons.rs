//! What the buttons do, and for whom.

use tests::{Computing, Service, example, wait_until};
use worksharing::WorkSharing;

use crate::opened::{KEY, LIMIT, PHONE, open_directory};
use crate::readable::TOO_WIDE;

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
    let focused = "document.activeElement === document.querySelector('#keys button')";
    assert_eq!(browser.value(focused), true, "it can be pressed again");
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
