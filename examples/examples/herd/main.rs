//! A herd of processes asks for the same report at the same time. It is computed once.
//!
//! ```text
//! cargo run --release --example herd
//! cargo run --release --example herd -- --processes 8 --callers 50
//! cargo run --release --example herd -- --postgres postgres://user:password@localhost/db --redis redis://localhost
//! cargo run --release --example herd -- --memory          # nothing shared among processes: this fails
//! ```
//!
//! The processes are this program, started again by itself. Each makes a runtime and runs `callers` threads,
//! and each thread calls one annotated function (in `process.rs`). They tell this one what happened and when,
//! and it draws the picture. The exit code is 0 if the function's body ran once.

mod chart;
mod connections;
mod drawing;
mod herd;
mod options;
mod paint;
mod process;
mod record;
mod svg;

use std::process::ExitCode;

use options::{Options, Role};

/// What went wrong, for people.
type Trouble = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let done = match options::read(std::env::args().skip(1)) {
        Ok(Role::Help) => {
            print!("{}", options::HELP);
            Ok(true)
        }
        Ok(Role::Process(member, options)) => process::run(&member, &options).map(|()| true),
        Ok(Role::Herd(options)) => watch(options),
        Err(trouble) => Err(trouble),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            eprintln!("herd: {trouble}");
            ExitCode::from(2)
        }
    }
}

/// Runs the herd and draws it. Returns whether the work was done once.
fn watch(options: Options) -> Result<bool, Trouble> {
    let paint = paint::Paint::for_stdout();
    drawing::opening(&options, &paint);
    let (record, connections) = herd::run(&options, &paint)?;
    chart::timeline(&record, &options, &paint);
    if let Some(path) = &options.svg {
        std::fs::write(path, svg::picture(&record, &options))?;
    }
    Ok(drawing::verdict(&record, &options, connections, &paint))
}
