//! The pictures of the README: what draws them draws what happened, and they are there, and small.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::{Browser, example};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// A page is to be there at once.
const MOST_BYTES: u64 = 150_000;

#[test]
fn herd_draws_what_happened() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("herd.svg");
    let mut herd = Command::new(example("herd"));
    let options = ["--processes", "2", "--callers", "3", "--body", "300ms"];
    let drawn = herd.env_clear().args(options).arg("--svg").arg(&file);
    assert!(drawn.output().unwrap().status.success());

    let mut browser = Browser::start();
    browser.open(&format!("file://{}", file.display()));
    let title = browser.value("document.querySelector('title').textContent");
    let title = title.as_str().unwrap();
    assert!(
        title.starts_with("6 callers in 2 processes, 1 computation"),
        "{title}"
    );
    // One more of each is in the legend.
    let count = |of| format!("document.querySelectorAll('{of}').length");
    assert_eq!(browser.value(&count(".work")), 1 + 1);
    assert_eq!(browser.value(&count(".done")), 5 + 2);
    let outside = "[...document.querySelectorAll('text, .work, .done, .wait')].filter((one) => {
        const [box, back] = [one, document.querySelector('.back')].map((one) => one.getBoundingClientRect());
        return box.left < back.left || box.right > back.right || box.top < back.top || box.bottom > back.bottom;
    }).map((one) => one.outerHTML)";
    assert_eq!(browser.value(outside), serde_json::json!([]));
    let mut colour = |dark| {
        browser.prefers_dark(dark);
        browser.value("getComputedStyle(document.querySelector('.back')).fill")
    };
    assert_ne!(colour(false), colour(true));
}

#[test]
fn readme_shows_pictures_that_are_there_and_small() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let quoted = readme.split(['"', '(', ')']);
    let shown: Vec<_> = quoted
        .filter(|one| one.starts_with("examples/pictures/"))
        .collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    for picture in shown {
        let bytes = fs::metadata(Path::new(ROOT).join(picture)).unwrap().len();
        assert!((1..MOST_BYTES).contains(&bytes), "{picture}: {bytes} bytes");
    }
}
