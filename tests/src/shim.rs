use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A small library that a worker's process loads before all others, to make the C library behave differently
/// there. (Not for macOS.)
#[derive(Debug)]
pub struct Shim {
    dir: TempDir,
}

impl Shim {
    /// `std::os::unix::process::parent_id()` forks, and returns what `fork()` does.
    pub fn that_forks() -> Self {
        Self::compile(
            "#include <unistd.h>
             pid_t getppid(void) { return fork(); }",
        )
    }

    /// The wall clock is so many seconds ahead.
    pub fn with_a_clock_ahead(seconds: u32) -> Self {
        Self::compile(&format!(
            "#define _GNU_SOURCE
             #include <sys/syscall.h>
             #include <time.h>
             #include <unistd.h>
             int clock_gettime(clockid_t clock, struct timespec *now) {{
                 int failed = syscall(SYS_clock_gettime, clock, now);
                 if (!failed && clock == CLOCK_REALTIME) now->tv_sec += {seconds};
                 return failed;
             }}"
        ))
    }

    fn compile(source: &str) -> Self {
        let dir = TempDir::new().expect("no temporary directory");
        let file = dir.path().join("shim.c");
        fs::write(&file, source).expect("cannot write");
        let shim = Self { dir };
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&shim.library(), &file])
            .status()
            .expect("cannot run cc");
        assert!(compiled.success(), "cc refuses:\n{source}");
        shim
    }

    /// Has the program load it.
    pub fn load_into(&self, program: &mut Command) {
        program.env("LD_PRELOAD", self.library());
    }

    fn library(&self) -> PathBuf {
        self.dir.path().join("shim.so")
    }
}
