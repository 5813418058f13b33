//! What the tests open.

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tests::{Browser, Service, example};
use worksharing::WorkSharing;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const PHONE: [u32; 2] = [360, 740];
pub(crate) const DESK: [u32; 2] = [1100, 800];

/// A key may have anything in it, and is shown as it is.
pub(crate) const KEY: &str = r#"report:<img src=x onerror="document.title='broken'">&amp;'2024"#;

/// The service, and a browser that has it open.
pub(crate) struct Opened {
    pub(crate) dashboard: Service,
    pub(crate) browser: Browser,
    pub(crate) origin: String,
}

pub(crate) fn open(arguments: &[&str], environment: &[(&str, &str)]) -> Opened {
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
pub(crate) fn open_directory() -> (TempDir, WorkSharing, Opened) {
    let directory = tempfile::tempdir().unwrap();
    let sharing = WorkSharing::in_directory(directory.path()).unwrap();
    let path = directory.path().to_str().unwrap();
    let opened = open(&[], &[("WORKSHARING_DIRECTORY", path)]);
    (directory, sharing, opened)
}

impl Opened {
    /// The page has loaded nothing from elsewhere, and was refused nothing.
    #[track_caller]
    pub(crate) fn behaved(&mut self) {
        let mut requested = self.browser.requested();
        requested.retain(|url| !url.starts_with(&self.origin) && url != "data:,");
        assert_eq!(requested, Vec::<String>::new());
        assert_eq!(self.browser.complaints(), Vec::<Value>::new());
        assert_eq!(self.browser.value("document.title"), "worksharing");
        assert_eq!(self.browser.value("document.images.length"), 0);
    }
}
