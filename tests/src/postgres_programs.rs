use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::server::{find_program, server_dir};
use crate::user::{User, command_as};

/// A fresh data directory to copy: made once per machine, user and version.
pub(crate) fn template(user: Option<User>) -> PathBuf {
    let initdb = program("initdb");
    let version = output(Command::new(&initdb).arg("--version"));
    let version: String = version
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let owner = user.map_or_else(|| rustix::process::geteuid().as_raw(), User::id);
    let template = std::env::temp_dir().join(format!("worksharing-{version}-{owner}"));
    if template.is_dir() {
        return template;
    }
    let making = server_dir("template", user);
    let data = making.path().join("data");
    run(command_as(user, initdb)
        .args([
            "-A",
            "trust",
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "--wal-segsize=1",
            "-D",
        ])
        .arg(&data));
    // Renamed into place when complete. Should another process have been faster, its own is as good.
    if let Err(error) = fs::rename(&data, &template) {
        assert!(
            template.is_dir(),
            "cannot make {}: {error}",
            template.display()
        );
    }
    template
}

/// One of PostgreSQL's programs; Debian keeps them out of `PATH`.
pub(crate) fn program(name: &str) -> PathBuf {
    let versions = [
        "/usr/lib/postgresql",
        "/opt/homebrew/opt",
        "/usr/local/opt",
        "/home/linuxbrew/.linuxbrew/opt",
    ];
    let mut directories: Vec<_> = versions
        .iter()
        .filter_map(|parent| fs::read_dir(parent).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    directories.sort();
    directories.reverse();
    find_program(name, &directories)
}

pub(crate) fn run(command: &mut Command) {
    let _ = output(command);
}

fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {complaints}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
