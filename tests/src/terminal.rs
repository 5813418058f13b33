use std::fmt;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};
use vt100::Parser;

use crate::{Guardian, wait_until};

const LIMIT: Duration = Duration::from_secs(60);

/// A program in a terminal of its own: what it shows, and hands that type.
pub struct Terminal {
    pty: Arc<Pty>,
    process: Child,
    screen: Arc<Mutex<Parser>>,
}

impl Terminal {
    /// Starts a program with no other environment than this one.
    pub fn start(program: &Path, environment: &[(&str, &str)], [columns, rows]: [u16; 2]) -> Self {
        let (pty, pts) = open().expect("no terminal is left");
        pty.resize(Size::new(rows, columns)).expect("cannot resize");
        let command = Command::new(program)
            .env_clear()
            .env("TERM", "xterm-256color")
            .envs(environment.iter().copied());
        let process = command.spawn(pts).expect("cannot start the program");
        Guardian::of_this_process().watch(process.id(), "KILL");
        let (pty, screen) = (Arc::new(pty), Parser::new(some(rows), some(columns), 0));
        let screen = Arc::new(Mutex::new(screen));
        let (output, seen) = (Arc::clone(&pty), Arc::clone(&screen));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // It is an error, and not the end, when nobody has the other side open.
            while let Ok(read @ 1..) = (&*output).read(&mut buffer) {
                seen.lock().unwrap().process(&buffer[..read]);
            }
        });
        Self {
            pty,
            process,
            screen,
        }
    }

    /// What it shows.
    pub fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until what it shows is so.
    #[track_caller]
    pub fn shows(&self, what: &str, condition: impl Fn(&str) -> bool) {
        let mut text = String::new();
        let seen = || {
            text = self.text();
            condition(&text)
        };
        let waited = std::panic::AssertUnwindSafe(|| wait_until(LIMIT, what, seen));
        if let Err(panic) = std::panic::catch_unwind(waited) {
            eprintln!("the terminal shows:\n{text}");
            std::panic::resume_unwind(panic);
        }
    }

    /// Types this.
    pub fn types(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).expect("it is gone");
    }

    /// Gives it another size.
    pub fn resize(&self, [columns, rows]: [u16; 2]) {
        let mut screen = self.screen.lock().unwrap();
        screen.screen_mut().set_size(some(rows), some(columns));
        let resized = self.pty.resize(Size::new(rows, columns));
        resized.expect("cannot resize");
    }

    /// Whether a shell could go on here: lines are edited and echoed, the cursor is seen, and what was on the screen
    /// before the program is there again.
    pub fn is_as_before(&self) -> bool {
        let modes = tcgetattr(&*self.pty).expect("it is a terminal").local_modes;
        let parser = self.screen.lock().unwrap();
        let screen = parser.screen();
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
            && !screen.alternate_screen()
            && !screen.hide_cursor()
    }

    /// Asks it to end, as a service manager does.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).expect("cannot signal it");
    }

    /// Waits until it has ended. Its exit code.
    pub fn exit_code(&mut self) -> Option<i32> {
        wait_until(LIMIT, "the program has ended", || {
            self.process.try_wait().expect("cannot wait").is_some()
        });
        self.process.wait().expect("cannot wait").code()
    }
}

fn some(length: u16) -> NonZero<u16> {
    NonZero::new(length).expect("a terminal has a size")
}

impl fmt::Debug for Terminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terminal")
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        Guardian::of_this_process().forget(self.process.id(), "KILL");
    }
}
