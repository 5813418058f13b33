use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::user::{User, give};
use crate::{Guardian, wait_until};

/// How long a server may take to start or to stop on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of a server's own, which the server's user may write.
pub(crate) fn server_dir(name: &str, user: Option<User>) -> TempDir {
    let dir = tempfile::Builder::new()
        .prefix(&format!("ws-{name}-"))
        .tempdir()
        .expect("no temporary directory");
    give(dir.path(), user);
    Guardian::of_this_process().remove(dir.path());
    dir
}

/// A directory with these files, which only the servers and this process can read: names and contents.
pub fn files_for_servers(files: &[(&str, &str)]) -> TempDir {
    let user = User::for_servers();
    let dir = server_dir("files", user);
    for (name, contents) in files {
        let path = dir.path().join(name);
        fs::write(&path, contents).expect("cannot write");
        // PostgreSQL takes no key that others can read.
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("cannot chmod");
        give(&path, user);
    }
    dir
}

/// A server's process. Killed when dropped, and when this process ends.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    log: PathBuf,
    last_signal: &'static str,
}

impl ServerProcess {
    /// Starts the server; `last_signal` is what ends it at once without leaving anything behind.
    pub(crate) fn start(mut command: Command, log: &Path, last_signal: &'static str) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("cannot write the log");
        let copy = file.try_clone().expect("cannot clone the log");
        command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(copy)
            .process_group(0);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Guardian::of_this_process().watch(child.id(), last_signal);
        Self {
            child,
            log: log.to_owned(),
            last_signal,
        }
    }

    /// Waits until `ready`. False if the server ended before (a port that was taken, perhaps).
    pub(crate) fn wait_ready(&mut self, mut ready: impl FnMut() -> bool) -> bool {
        let began = Instant::now();
        while !ready() {
            if self.child.try_wait().expect("cannot wait").is_some() {
                return false;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "the server is not ready; its log:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(10));
        }
        true
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn stop(&mut self, signal: Signal) {
        if self.child.try_wait().expect("cannot wait").is_none() {
            kill_process(self.pid(), signal).expect("cannot kill");
            wait_until(PATIENCE, "the server stops", || {
                self.child.try_wait().expect("cannot wait").is_some()
            });
        }
        Guardian::of_this_process().forget(self.child.id(), self.last_signal);
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let signal = if self.last_signal == "QUIT" {
            Signal::QUIT
        } else {
            Signal::KILL
        };
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(self.pid(), signal);
            let _ = self.child.wait();
        }
        Guardian::of_this_process().forget(self.child.id(), self.last_signal);
    }
}

/// Where a program is: in `PATH`, or in one of the directories.
pub(crate) fn find_program(name: &str, directories: &[PathBuf]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(directories.iter().cloned())
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| {
            panic!("{name} is not installed; tests/run installs what the tests need")
        })
}
