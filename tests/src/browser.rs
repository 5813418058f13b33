use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::devtools::{DevTools, LIMIT};

mod devtools;

/// Chromium without a window, at one page.
#[derive(Debug)]
pub struct Browser(DevTools);

impl Browser {
    /// Starts it with an empty page.
    pub fn start() -> Self {
        Self(DevTools::start())
    }

    /// Opens a page.
    pub fn open(&mut self, url: &str) {
        self.0.ask("Page.navigate", json!({ "url": url }));
        self.until("the page is loaded", "document.readyState === 'complete'");
    }

    /// Gives it a window of this size.
    pub fn resize(&mut self, [width, height]: [u32; 2]) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.0.ask("Emulation.setDeviceMetricsOverride", size);
    }

    /// What its user prefers.
    pub fn prefers_dark(&mut self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.0.ask(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        );
    }

    /// The value of an expression, in the page.
    #[track_caller]
    pub fn value(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.0.ask("Runtime.evaluate", asked);
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        answer["result"]["value"].take()
    }

    /// The text that is to be read there. Empty if there is nothing.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.value(&format!("document.querySelector({selector:?})?.innerText"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until this expression is true in the page.
    #[track_caller]
    pub fn until(&mut self, what: &str, expression: &str) {
        let mut last = Value::Null;
        let mut is_so = || {
            last = self.value(expression);
            last == true
        };
        let began = Instant::now();
        while !is_so() {
            if began.elapsed() > LIMIT {
                let page = self.text("body");
                panic!("not within {LIMIT:?}: {what}. The page is:\n{page}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until this is to be read there.
    #[track_caller]
    pub fn reads(&mut self, selector: &str, text: &str) {
        let there = format!("document.querySelector({selector:?})?.innerText");
        self.until(text, &format!("Boolean({there}?.includes({text:?}))"));
    }

    /// Clicks with the mouse in the middle of what is there.
    pub fn click(&mut self, selector: &str) {
        let place = format!(
            "(() => {{ const there = document.querySelector({selector:?}); \
             there.scrollIntoView({{ block: 'center' }}); const box = there.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let place = self.value(&place);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.0.ask("Input.dispatchMouseEvent", event);
        }
    }

    /// Types this where the focus is.
    pub fn types(&mut self, text: &str) {
        self.0.ask("Input.insertText", json!({ "text": text }));
    }

    /// What a screen reader has of a role: the names of all that have it.
    pub fn names_of(&mut self, role: &str) -> Vec<String> {
        let tree = self.0.ask("Accessibility.getFullAXTree", json!({}));
        let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
        let named = nodes.iter().filter(|node| node["role"]["value"] == role);
        let name = |node: &Value| {
            node["name"]["value"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        named.map(name).collect()
    }

    /// What the page has asked for so far: the URLs.
    pub fn requested(&mut self) -> Vec<String> {
        let requests = self.events_of("Network.requestWillBeSent");
        let url = |event: &Value| {
            event["params"]["request"]["url"]
                .as_str()
                .map(str::to_owned)
        };
        requests.iter().filter_map(url).collect()
    }

    /// What its console has of errors, and of what the page may not do.
    pub fn complaints(&mut self) -> Vec<Value> {
        let mut complaints = self.events_of("Runtime.exceptionThrown");
        complaints.extend(self.events_of("Log.entryAdded"));
        complaints
    }

    fn events_of(&mut self, method: &str) -> Vec<Value> {
        // What was told before the answer to this is there then.
        self.value("0");
        let events = self
            .0
            .events
            .iter()
            .filter(|event| event["method"] == method);
        events.cloned().collect()
    }

    /// A picture of the window, as PNG in base64.
    pub fn screenshot(&mut self) -> String {
        let picture = self
            .0
            .ask("Page.captureScreenshot", json!({ "format": "png" }));
        picture["data"].as_str().expect("it is a text").to_owned()
    }
}
