use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Guardian;

pub(super) const LIMIT: Duration = Duration::from_secs(60);

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

/// The browser's process and one page of it, by the DevTools protocol over pipes.
#[derive(Debug)]
pub(super) struct DevTools {
    process: Child,
    /// None when it is to end.
    pipe: Option<ChildStdin>,
    told: Receiver<Value>,
    /// What it told without being asked.
    pub(super) events: Vec<Value>,
    /// The page's session.
    session: Option<String>,
    requests: u64,
    _profile: TempDir,
}

impl DevTools {
    pub(super) fn start() -> Self {
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
        let mut devtools = Self {
            pipe: process.stdin.take(),
            process,
            told,
            events: Vec::new(),
            session: None,
            requests: 0,
            _profile: profile,
        };
        devtools.attach();
        devtools
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

    /// Says something of the protocol, and waits for its answer.
    #[track_caller]
    pub(super) fn ask(&mut self, method: &str, params: Value) -> Value {
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

impl Drop for DevTools {
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
