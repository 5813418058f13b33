use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Guardian;

const LIMIT: Duration = Duration::from_secs(60);

/// Where Chromium, or Chrome, may be.
const PROGRAMS: [&str; 6] = [
    "chromium",
    "google-chrome",
    "google-chrome-stable",
    "chromium-browser",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// The browser reads from descriptor 3 and writes to 4, which the standard library cannot give it.
const START: &str = r#"
for program do
    if [ -x "$program" ] || command -v "$program" >/dev/null; then
        exec "$program" $FLAGS 3<&0 4>&1 </dev/null >/dev/null 2>&1
    fi
done
exit 127
"#;

/// Chromium without a window, at one page. It is told what to do by its DevTools protocol, over pipes.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    /// None when it is to end.
    pipe: Option<ChildStdin>,
    told: Receiver<Value>,
    /// What it told without being asked.
    events: Vec<Value>,
    /// The page's session.
    session: Option<String>,
    requests: u64,
    _profile: TempDir,
}

impl Browser {
    /// Starts it with an empty page.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("cannot make a directory");
        let mut process = Command::new("sh")
            .args(["-c", START, "sh"])
            .args(PROGRAMS)
            .env("FLAGS", flags(profile.path()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cannot start sh");
        Guardian::of_this_process().watch(process.id(), "KILL");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let (tell, told) = channel();
        thread::spawn(move || {
            let messages = output.split(0).map_while(Result::ok);
            let mut messages = messages.filter_map(|bytes| serde_json::from_slice(&bytes).ok());
            messages.all(|message| tell.send(message).is_ok())
        });
        let mut browser = Self {
            pipe: process.stdin.take(),
            process,
            told,
            events: Vec::new(),
            session: None,
            requests: 0,
            _profile: profile,
        };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let page = self.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let page = json!({ "targetId": page["targetId"], "flatten": true });
        let session = self.ask("Target.attachToTarget", page);
        self.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"] {
            self.ask(&format!("{domain}.enable"), json!({}));
        }
    }

    /// Opens a page.
    pub fn open(&mut self, url: &str) {
        self.ask("Page.navigate", json!({ "url": url }));
        self.until("the page is loaded", "document.readyState === 'complete'");
    }

    /// Gives it a window of this size.
    pub fn resize(&mut self, [width, height]: [u32; 2]) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.ask("Emulation.setDeviceMetricsOverride", size);
    }

    /// What its user prefers.
    pub fn prefers_dark(&mut self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.ask(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        );
    }

    /// The value of an expression, in the page.
    #[track_caller]
    pub fn value(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.ask("Runtime.evaluate", asked);
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
            self.ask("Input.dispatchMouseEvent", event);
        }
    }

    /// Types this where the focus is.
    pub fn types(&mut self, text: &str) {
        self.ask("Input.insertText", json!({ "text": text }));
    }

    /// What a screen reader has of a role: the names of all that have it.
    pub fn names_of(&mut self, role: &str) -> Vec<String> {
        let tree = self.ask("Accessibility.getFullAXTree", json!({}));
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
        let events = self.events.iter().filter(|event| event["method"] == method);
        events.cloned().collect()
    }

    /// A picture of the window, as PNG in base64.
    pub fn screenshot(&mut self) -> String {
        let picture = self.ask("Page.captureScreenshot", json!({ "format": "png" }));
        picture["data"].as_str().expect("it is a text").to_owned()
    }

    /// Says something of the protocol, and waits for its answer.
    #[track_caller]
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.requests += 1;
        let id = self.requests;
        let mut request = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        let pipe = self.pipe.as_mut().expect("it has not been ended");
        let sent = pipe.write_all(format!("{request}\0").as_bytes());
        sent.expect("the browser is gone, or there is none");
        loop {
            let mut message = self.told.recv_timeout(LIMIT).expect("it does not answer");
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }
}

fn flags(profile: &Path) -> String {
    let mut flags =
        "--headless --remote-debugging-pipe --no-first-run --disable-gpu --hide-scrollbars \
        --disable-dev-shm-usage --disable-background-networking --disable-component-update"
            .to_owned();
    if rustix::process::geteuid().is_root() {
        // Its sandbox wants a user who is not root. The page is our own.
        flags += " --no-sandbox";
    }
    format!("{flags} --user-data-dir={}", profile.display())
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends by itself then, and its own processes before it: they write into the profile.
        drop(self.pipe.take());
        let asked = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) && asked.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        Guardian::of_this_process().forget(self.process.id(), "KILL");
    }
}
