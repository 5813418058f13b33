use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// Reads what to end and what to remove, line by line; does so when its standard input ends.
const SCRIPT: &str = r#"
all=" "
while read -r verb what; do
    case $verb in
        watch) all="$all$what " ;;
        forget) case $all in *" $what "*) all="${all%% $what *} ${all#* $what }" ;; esac ;;
    esac
done
for one in $all; do
    case $one in *:*) kill -s "${one%%:*}" "${one#*:}" ;; esac
done
sleep 0.2
for one in $all; do
    case $one in /*) rm -rf "$one" || { sleep 1; rm -rf "$one"; } ;; esac
done
"#;

/// A shell that outlives this process, holds the end of a pipe, and so notices however this process
/// ends, `kill -9` included. Then it ends the servers and workers that are still there.
#[derive(Debug)]
pub struct Guardian(Mutex<Child>);

impl Guardian {
    /// The guardian of this process.
    pub fn of_this_process() -> &'static Self {
        static GUARDIAN: OnceLock<Guardian> = OnceLock::new();
        GUARDIAN.get_or_init(Self::start)
    }

    fn start() -> Self {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // A process group of its own: a runner that kills the test's whole group must not kill it too.
        Self(Mutex::new(
            shell.process_group(0).spawn().expect("cannot start sh"),
        ))
    }

    /// Sends `signal` (a name such as `KILL`) to the process when this process ends.
    pub fn watch(&self, pid: u32, signal: &str) {
        self.tell(&format!("watch {signal}:{pid}"));
    }

    /// The process has ended.
    pub fn forget(&self, pid: u32, signal: &str) {
        self.tell(&format!("forget {signal}:{pid}"));
    }

    /// Removes a directory when this process ends. Its path has no spaces.
    pub fn remove(&self, path: &Path) {
        self.tell(&format!("watch {}", path.display()));
    }

    fn tell(&self, line: &str) {
        let mut shell = self.0.lock().unwrap();
        let pipe = shell.stdin.as_mut().expect("it is piped");
        writeln!(pipe, "{line}").expect("the guardian is gone");
    }
}
