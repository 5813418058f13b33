//! What is being computed now, by whom, since when, and how many processes wait for it: a view for the terminal.
//!
//! ```text
//! export WORKSHARING_POSTGRES_URL=postgres://user:password@db.internal/app    # as the services that are looked at
//! cargo run --release --example top
//! cargo run --release --example top -- --once         # one list, as plain text
//! ```
//!
//! Without a variable it looks at a directory, in which `--example dashboard` computes something: run it beside this.
//! It only reads. All that it knows is `WorkSharing::computing`, asked for once a second: computations of all processes
//! that have lasted for a second or so.

mod app;
mod input;
#[path = "../shared/place.rs"]
mod place;
mod plain;
mod text;
mod view;
mod watch;

use std::env;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event;

use app::App;
use watch::News;

const HELP: &str = "\
What is being computed now, by whom, since when, and who waits.

  cargo run --release --example top -- [--once]

  --once    write one list as plain text, and end; also where standard output
            is no terminal

Looks at the servers of WORKSHARING_POSTGRES_URL (else DATABASE_URL) and
WORKSHARING_REDIS_URL (else REDIS_URL), or into WORKSHARING_DIRECTORY; with none
of them, where `--example dashboard` computes. Reads only.
";

/// How long a change of the terminal's size, or a signal, may go unnoticed.
const TICK: Duration = Duration::from_millis(200);

/// What went wrong, for people.
type Trouble = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let done = match &*arguments {
        [] if io::stdout().is_terminal() => interactive(),
        [] => plain::write_once(),
        [option] if option == "--once" => plain::write_once(),
        [option] if option == "--help" || option == "-h" => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err("the only option is --once; see --help".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("top: {trouble}");
            ExitCode::from(2)
        }
    }
}

/// Until somebody quits. The terminal is as before then, also after an error or a panic.
fn interactive() -> Result<(), Trouble> {
    let news = watch::start(place::open()?)?;
    let mut terminal = ratatui::try_init()?;
    let done = run(&mut terminal, &news);
    ratatui::try_restore()?;
    done
}

fn run(terminal: &mut DefaultTerminal, news: &Receiver<News>) -> Result<(), Trouble> {
    let mut app = App::new(place::describe());
    while !app.quits() {
        terminal.draw(|frame| view::draw(frame, &app))?;
        if event::poll(TICK)? {
            input::take(&mut app, &event::read()?);
        }
        news.try_iter().for_each(|news| app.hear(news));
    }
    Ok(())
}
