use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Who runs the servers that refuse to run as root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Another user if this process is root's; otherwise nobody else is needed.
    pub(crate) fn for_servers() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let users = fs::read_to_string("/etc/passwd").expect("cannot read /etc/passwd");
        ["postgres", "nobody"].iter().find_map(|name| Self::find(&users, name)).or_else(|| {
            panic!("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
        })
    }

    fn find(users: &str, name: &str) -> Option<Self> {
        let mut fields = users
            .lines()
            .map(|line| line.split(':'))
            .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
        let (_password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Self {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
        })
    }

    pub(crate) fn id(self) -> u32 {
        self.uid
    }
}

/// A command that runs as this user; also sets a working directory that everybody may enter.
pub(crate) fn command_as(user: Option<User>, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// Gives a file or directory to this user.
pub(crate) fn give(path: &Path, user: Option<User>) {
    if let Some(user) = user {
        chown(path, Some(user.uid), Some(user.gid)).expect("cannot chown");
    }
}
