//! Makes the README's pictures anew, by the programs that they show: `cargo run -p tests --bin pictures`

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tests::{Browser, Service, example};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/pictures");
/// Of the dashboard: so much that it can be read where a README is read.
const WIDTH: u32 = 960;
const BELOW: &str =
    "Math.round(document.querySelectorAll('section')[1].getBoundingClientRect().bottom) + 16";
/// Until the timeline is full.
const FULL: Duration = Duration::from_secs(32);

fn main() {
    let folder = Path::new(FOLDER);
    fs::create_dir_all(folder).expect("cannot make the folder");
    herd(&folder.join("herd.svg"));
    dashboard(folder);
    println!("The pictures are in examples/pictures.");
}

fn herd(file: &Path) {
    let mut herd = Command::new(example("herd"));
    let drawn = herd.env_clear().arg("--svg").arg(file).status();
    assert!(drawn.expect("cannot start the herd").success());
}

fn dashboard(folder: &Path) {
    let directory = tempfile::tempdir().expect("cannot make a directory");
    let path = directory.path().to_str().expect("it is UTF-8");
    let arguments = ["--listen", "127.0.0.1:0", "--workers", "4"];
    let environment = [("WORKSHARING_DIRECTORY", path)];
    let dashboard = Service::start(&example("dashboard"), &arguments, &environment);
    let mut browser = Browser::start();
    browser.resize([WIDTH, 640]);
    browser.open(&format!("http://{}/", dashboard.address));
    thread::sleep(FULL);
    browser.until(
        "some compute, and others wait",
        "document.querySelectorAll('.computes[data-open=true]').length > 1 \
         && document.querySelectorAll('.waits[data-open=true]').length > 1",
    );
    let height = browser
        .value(BELOW)
        .as_u64()
        .and_then(|height| u32::try_from(height).ok());
    browser.resize([WIDTH, height.expect("it is a number")]);
    for (name, dark) in [("dashboard.png", false), ("dashboard-dark.png", true)] {
        browser.prefers_dark(dark);
        let picture = STANDARD.decode(browser.screenshot());
        let picture = picture.expect("it is in base64");
        fs::write(folder.join(name), picture).expect("cannot write the picture");
    }
}
