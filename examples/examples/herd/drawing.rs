//! What is said around the picture.

use std::time::{Duration, SystemTime};

use crate::connections::Connections;
use crate::options::Options;
use crate::paint::Paint;
use crate::record::{Record, now_us};

pub(crate) fn opening(options: &Options, paint: &Paint) {
    let title = format!("{} ask for the same report.", who(options));
    println!(
        "\n {} The work takes {}.",
        paint.bold(&title),
        human(options.body)
    );
    println!(" {}\n", paint.dim(backend(options)));
}

fn backend(options: &Options) -> &'static str {
    match (&options.postgres, &options.redis) {
        _ if options.memory => "Each process has its own locks and values, in memory.",
        (Some(_), Some(_)) => "Locks are in PostgreSQL, values in Redis.",
        (Some(_), None) => "Locks and values are in PostgreSQL.",
        (None, Some(_)) => "Locks are files of this machine, values are in Redis.",
        (None, None) => "Locks and values are files of this machine.",
    }
}

/// One line on how it goes, while it goes.
pub(crate) fn progress(record: &Record, paint: &Paint) {
    let called = record
        .callers()
        .filter(|caller| caller.called.is_some())
        .count();
    let computing = record
        .callers()
        .filter(|caller| caller.begun.is_some() && caller.served.is_none())
        .count();
    let served = record.served();
    let since = now_us(SystemTime::now()).saturating_sub(record.start());
    if called > 0 {
        let waiting = called - served - computing;
        let seconds = since as f64 / 1e6;
        paint.passing_line(&format!(
            " {seconds:.1} s   {computing} computing   {waiting} waiting   {served} served"
        ));
    }
}

/// A time for people.
pub(crate) fn human(time: Duration) -> String {
    let us = time.as_micros();
    match us {
        0 => "0".to_owned(),
        1..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// The numbers and the sentence. Returns whether all is well.
pub(crate) fn verdict(
    record: &Record,
    options: &Options,
    connections: Option<Connections>,
    paint: &Paint,
) -> bool {
    let executions = record.executions();
    let (late, average) = record.late();
    let all = options.all_callers();
    let agree = if record.agrees() {
        "all equal"
    } else {
        "not all equal"
    };
    println!(" executions   {executions}");
    println!(" answers      {} of {all}, {agree}", record.served());
    if late > 0 {
        println!(
            " came later   {late}, served in {} on average",
            human(average)
        );
    }
    if let Some(Connections { most, name }) = connections {
        println!(
            " connections  {most} to PostgreSQL, for {} processes (application_name {name})",
            options.processes
        );
    }
    if record.degraded > 0 {
        println!(
            " degraded     {} times a step had to do without a server",
            record.degraded
        );
    }
    let (well, sentence) = sentence(record, options);
    let painted = match well {
        true => paint.good(&format!("✔ {sentence}")),
        false => paint.bad(&format!("✘ {sentence}")),
    };
    println!("\n {painted}\n");
    well
}

fn who(options: &Options) -> String {
    let callers = match options.all_callers() {
        1 => "1 caller".to_owned(),
        callers => format!("{callers} callers"),
    };
    match options.processes {
        1 => format!("{callers} in 1 process"),
        processes => format!("{callers} in {processes} processes"),
    }
}

/// What happened, and whether that is well.
pub(crate) fn sentence(record: &Record, options: &Options) -> (bool, String) {
    let (who, executions) = (who(options), record.executions());
    let well = executions == 1 && record.served() == options.all_callers() && record.agrees();
    let sentence = if well {
        let after = human(record.last_answer_after_work());
        format!("{who}, 1 computation, last answer {after} after it.")
    } else if executions == 1 {
        format!("{who}, 1 computation, but not everybody got its result.")
    } else {
        format!("{who}, {executions} computations: the work was not shared.")
    };
    (well, sentence)
}
