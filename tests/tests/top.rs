//! The example `top` in a terminal of its own: what another process computes, sorted and filtered, and how it ends.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tests::{Computing, PostgresServer, Run, Setup, Stop, Terminal, Worker, example, wait_until};
use worksharing::WorkSharing;

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
const WIDE: [u16; 2] = [120, 20];
const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(120);

const NOTHING: &str = "Nothing is being computed";
const CTRL_C: &str = "\x03";
const ESCAPE: &str = "\x1b";

fn start(directory: &TempDir, size: [u16; 2]) -> Terminal {
    let path = directory.path().to_str().unwrap();
    Terminal::start(&example("top"), &[("WORKSHARING_DIRECTORY", path)], size)
}

fn directory() -> (TempDir, WorkSharing) {
    let directory = tempfile::tempdir().unwrap();
    let sharing = WorkSharing::in_directory(directory.path()).unwrap();
    (directory, sharing)
}

fn has(text: &'static str) -> impl Fn(&str) -> bool {
    move |screen| screen.contains(text)
}

/// Whether these are on the screen from above to below.
fn in_order(texts: &'static [&'static str]) -> impl Fn(&str) -> bool {
    move |screen| {
        let places: Option<Vec<_>> = texts.iter().map(|text| screen.find(text)).collect();
        places.is_some_and(|places| places.is_sorted())
    }
}

#[track_caller]
fn ends_well(terminal: &mut Terminal) {
    assert_eq!(terminal.exit_code(), Some(0), "{}", terminal.text());
    // What it wrote last may not have been read yet.
    wait_until(LIMIT, "the terminal is as before", || {
        terminal.is_as_before()
    });
}

#[test]
fn what_another_process_computes_comes_with_who_waits_and_goes() {
    let (directory, sharing) = directory();
    let mut terminal = start(&directory, WIDE);
    terminal.shows("nothing", has(NOTHING));
    assert!(!terminal.is_as_before(), "it has the terminal to itself");

    let report = Computing::begin(&sharing, "report:2024", "shop::report");
    let by = std::process::id().to_string();
    let row = |screen: &str| {
        let row = screen.lines().find(|line| line.contains("report:2024"));
        row.is_some_and(|row| row.contains("shop::report") && row.contains(&by))
    };
    terminal.shows("the report, its function and its process", row);
    terminal.shows("that it goes on", has("2 s"));

    let mut waiter = Worker::start(WORKER, &Setup::in_directory(directory.path()));
    waiter.run(&Run::of("report:2024", LONG));
    terminal.shows("who waits", has("1 process waits"));

    report.end();
    terminal.shows("nothing again", has(NOTHING));
    terminal.types("q");
    ends_well(&mut terminal);
}

#[test]
fn rows_are_sorted_and_filtered() {
    let (directory, sharing) = directory();
    let older = Computing::begin(&sharing, "b: older", "shop::zebra");
    let mut terminal = start(&directory, WIDE);
    terminal.shows("the first", has("b: older"));
    let newer = Computing::begin(&sharing, "a: newer", "shop::ape");
    terminal.shows("the longest first", in_order(&["b: older", "a: newer"]));
    for (keys, first, then) in [
        ("k", "a: newer", "b: older"),
        ("k", "b: older", "a: newer"),
        ("f", "a: newer", "b: older"),
        ("t", "b: older", "a: newer"),
        ("t", "a: newer", "b: older"),
    ] {
        terminal.types(keys);
        let what = format!("{first} above {then} after {keys}");
        terminal.shows(&what, |screen| {
            let place = |text| screen.find(text).expect("both are shown");
            place(first) < place(then)
        });
    }

    terminal.types("/ZEB");
    terminal.shows("only what has it", |screen| {
        screen.contains("b: older") && !screen.contains("a: newer")
    });
    terminal.shows("that there is more", has("1 hidden"));
    terminal.types("x");
    terminal.shows("that nothing has it", has("has this text in it"));
    terminal.types(ESCAPE);
    terminal.shows("all", in_order(&["a: newer", "b: older"]));
    terminal.types("\x1b[B");
    terminal.shows("all of a row", has("a: newer  by shop::ape, in process"));

    terminal.types(CTRL_C);
    ends_well(&mut terminal);
    older.end();
    newer.end();
}

#[test]
fn it_ends_by_escape_and_by_a_signal() {
    let (directory, _) = directory();
    let ends: [fn(&Terminal); 2] = [|terminal| terminal.types(ESCAPE), Terminal::terminate];
    for end in ends {
        let mut terminal = start(&directory, WIDE);
        terminal.shows("nothing", has(NOTHING));
        end(&terminal);
        ends_well(&mut terminal);
    }
}

#[test]
fn small_terminals_are_enough() {
    let (directory, sharing) = directory();
    let computing = Computing::begin(&sharing, "k\x1b[2J\x07", "shop::report");
    let mut terminal = start(&directory, [1, 1]);
    terminal.resize([30, 5]);
    // Nobody's key clears the screen.
    terminal.shows("the key", has("k\\u{1b}[2J\\u{7}"));
    terminal.shows("its time", has(" s  "));
    terminal.resize([200, 50]);
    terminal.shows("what there is room for now", has("shop::report"));
    terminal.types("q");
    ends_well(&mut terminal);
    computing.end();
}

#[test]
fn trouble_with_a_server_is_a_line_and_passes() {
    let mut server = PostgresServer::start();
    let sharing = WorkSharing::builder().postgres(server.url()).build();
    let sharing = sharing.unwrap();
    let computing = Computing::begin(&sharing, "report:2024", "shop::report");
    let url = server.url();
    let variables = [("WORKSHARING_POSTGRES_URL", &*url)];
    let mut terminal = Terminal::start(&example("top"), &variables, WIDE);
    terminal.shows("the report", has("report:2024"));
    server.stop(Stop::Immediate);
    terminal.shows("that the list is old", |screen| {
        screen.contains("since then:") && screen.contains("report:2024")
    });
    server.start_again();
    terminal.shows("no trouble any more", |screen| {
        !screen.contains("since then:")
    });
    terminal.types("q");
    ends_well(&mut terminal);
    computing.end();
}

#[test]
fn once_is_plain_text() {
    let (directory, sharing) = directory();
    let computing = Computing::begin(&sharing, "report:2024", "shop::report");
    let once = |program: &Path| {
        let program = std::process::Command::new(program)
            .env_clear()
            .env("WORKSHARING_DIRECTORY", directory.path())
            .output()
            .unwrap();
        assert!(program.status.success());
        String::from_utf8(program.stdout).unwrap()
    };
    let program = example("top");
    wait_until(LIMIT, "it is told of", || {
        once(&program).contains("report:2024")
    });
    computing.end();
    assert_eq!(once(&program), "Nothing is being computed.\n");
}
