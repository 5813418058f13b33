use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Guardian;

const LIMIT: Duration = Duration::from_secs(60);

/// A process that serves pages, and says where: `… http://127.0.0.1:1234`.
#[derive(Debug)]
pub struct Service {
    process: Child,
    /// Host and port.
    pub address: String,
    said: Mutex<Receiver<String>>,
}

impl Service {
    /// Starts a program with no other environment than this one.
    pub fn start(program: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut process = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cannot start the service");
        Guardian::of_this_process().watch(process.id(), "KILL");
        let stdout = process.stdout.take().expect("it is piped");
        let lines = BufReader::new(stdout).lines();
        let (tell, said) = mpsc::channel();
        thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .all(|line| tell.send(line).is_ok())
        });
        let address = loop {
            let line = said.recv_timeout(LIMIT).expect("the service says nothing");
            if let Some((_, address)) = line.split_once("http://") {
                break address.trim_end_matches('/').to_owned();
            }
        };
        Self {
            process,
            address,
            said: Mutex::new(said),
        }
    }

    /// What it has said since this was asked for.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().try_iter().collect()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Asks it to end, as a service manager does.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).expect("cannot signal it");
    }

    /// Waits until it has ended. Whether that was well.
    pub fn ends_well(&mut self) -> bool {
        crate::wait_until(LIMIT, "the service has ended", || {
            self.process.try_wait().expect("cannot wait").is_some()
        });
        self.process.wait().expect("cannot wait").success()
    }

    /// The answer to a client that sends this (`GET /page`), with these other headers, waits for at most this long, and
    /// then hangs up.
    pub fn request(&self, what: &str, headers: &[&str], patience: Duration) -> Option<String> {
        self.request_with(what, headers, "", patience)
    }

    /// The same, with a body.
    pub fn request_with(
        &self,
        what: &str,
        headers: &[&str],
        body: &str,
        patience: Duration,
    ) -> Option<String> {
        let mut request = format!("{what} HTTP/1.1\r\nConnection: close\r\n");
        if !body.is_empty() {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            request += "Host: localhost\r\n";
        }
        for header in headers {
            request += &format!("{header}\r\n");
        }
        exchange(&self.address, &format!("{request}\r\n{body}"), patience)
    }
}

fn exchange(address: &str, request: &str, patience: Duration) -> Option<String> {
    let deadline = Instant::now() + patience;
    let mut connection = TcpStream::connect(address).expect("cannot connect");
    let sent = connection.write_all(request.as_bytes());
    sent.expect("the service hangs up");
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.checked_duration_since(Instant::now())?;
        let left = left.max(Duration::from_millis(1));
        connection.set_read_timeout(Some(left)).ok()?;
        match connection.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
            Err(_) => return None,
        }
    }
    Some(String::from_utf8(answer).expect("it answers in UTF-8"))
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        Guardian::of_this_process().forget(self.process.id(), "KILL");
    }
}
