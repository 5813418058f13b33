//! The picture: who computed, who waited, when each was served.

use std::time::{Duration, SystemTime};

use crate::connections::Connections;
use crate::options::Options;
use crate::paint::Paint;
use crate::record::{Caller, Record, now_us};

/// Columns of the chart. With the labels on both sides it fits 80.
const WIDTH: usize = 52;
/// More callers than this are drawn as one row for each process.
const MOST_ROWS: usize = 60;
/// What stands left of the chart.
const MARGIN: usize = 16;

pub(crate) fn opening(options: &Options, paint: &Paint) {
    let title = format!(
        "{} callers in {} processes want the same report.",
        options.all_callers(),
        options.processes
    );
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

pub(crate) fn timeline(record: &Record, options: &Options, paint: &Paint) {
    let scale = Scale {
        start: record.start(),
        span: (record.end() - record.start()).max(1),
    };
    println!("{}", paint.dim(&scale.axis()));
    for (number, callers) in record.processes.iter().enumerate().take(MOST_ROWS) {
        if options.all_callers() <= MOST_ROWS {
            caller_rows(number, callers, &scale, paint);
        } else {
            process_row(number, callers, &scale, paint);
        }
    }
    if options.processes > MOST_ROWS {
        println!(
            " {}",
            paint.dim(&format!(
                "… and {} more processes",
                options.processes - MOST_ROWS
            ))
        );
    }
    let (work, line, served) = (paint.work("██"), paint.dim("├──"), paint.good("●"));
    println!(
        "\n {:MARGIN$}{work} computes   {line}{served} waits, is served   {served} finds it stored\n",
        ""
    );
}

fn caller_rows(number: usize, callers: &[Caller], scale: &Scale, paint: &Paint) {
    for (i, caller) in callers.iter().enumerate() {
        let process = if i == 0 {
            format!("process {}", number + 1)
        } else {
            String::new()
        };
        let took = caller.took().map_or("no answer".to_owned(), human);
        println!(
            " {process:<11} {:>2}  {} {took:>9}",
            i + 1,
            scale.row(caller, paint)
        );
    }
}

/// All callers of a process in one row: from its first call to its last answer.
fn process_row(number: usize, callers: &[Caller], scale: &Scale, paint: &Paint) {
    let whole = Caller {
        called: callers.iter().filter_map(|caller| caller.called).min(),
        begun: callers.iter().filter_map(|caller| caller.begun).min(),
        ended: callers.iter().filter_map(|caller| caller.ended).max(),
        served: callers
            .iter()
            .filter_map(|caller| caller.served.clone())
            .max(),
    };
    let served = callers
        .iter()
        .filter(|caller| caller.served.is_some())
        .count();
    println!(
        " process {:<7} {} {served:>4} served",
        number + 1,
        scale.row(&whole, paint)
    );
}

/// From times to columns.
struct Scale {
    start: u64,
    span: u64,
}

impl Scale {
    fn column(&self, at: u64) -> usize {
        let share = at.saturating_sub(self.start) as f64 / self.span as f64;
        ((share * (WIDTH - 1) as f64).round() as usize).min(WIDTH - 1)
    }

    fn row(&self, caller: &Caller, paint: &Paint) -> String {
        let (Some(called), Some((served, _))) = (caller.called, &caller.served) else {
            return " ".repeat(WIDTH);
        };
        let (from, to) = (self.column(called), self.column(*served));
        let bar = match caller.begun.zip(caller.ended) {
            Some((begun, ended)) => {
                let (begun, ended) = (self.column(begun).max(from), self.column(ended).max(from));
                let before = paint.dim(&line(begun - from));
                let work = paint.work(&"█".repeat(ended + 1 - begun));
                let after = paint.dim(&"─".repeat((to - ended).saturating_sub(1)));
                let dot = if to > ended {
                    paint.good("●")
                } else {
                    String::new()
                };
                format!("{before}{work}{after}{dot}")
            }
            None => format!("{}{}", paint.dim(&line(to - from)), paint.good("●")),
        };
        format!("{}{bar}{}", " ".repeat(from), " ".repeat(WIDTH - 1 - to))
    }

    /// The times above the chart, at round numbers.
    fn axis(&self) -> String {
        let span = self.span as f64 / 1e6;
        let step = round_step(span / 5.0);
        let mut axis = " ".repeat(MARGIN);
        for i in 0.. {
            let at = f64::from(i) * step;
            let column = MARGIN + self.column(self.start + (at * 1e6) as u64);
            let label = format!("╷{}", human(Duration::from_secs_f64(at)));
            if at > span || column + label.chars().count() > 80 {
                break;
            }
            let gap = column.saturating_sub(axis.chars().count());
            axis.push_str(&" ".repeat(gap));
            axis.push_str(&label);
        }
        axis
    }
}

/// The start and the wait: `├───`.
fn line(length: usize) -> String {
    match length {
        0 => String::new(),
        _ => format!("├{}", "─".repeat(length - 1)),
    }
}

/// The next of 1, 2, 5, 10, 20, … in whatever unit.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|n| n * power)
        .find(|step| *step >= least)
        .unwrap_or(least)
}

fn human(time: Duration) -> String {
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
    let well = executions == 1 && record.served() == all && record.agrees();
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
    println!("\n {}\n", sentence(record, options, well, paint));
    well
}

fn sentence(record: &Record, options: &Options, well: bool, paint: &Paint) -> String {
    let (all, processes, executions) = (
        options.all_callers(),
        options.processes,
        record.executions(),
    );
    let who = format!("{all} callers in {processes} processes, ");
    if well {
        let after = human(record.last_answer_after_work());
        return paint.good(&format!(
            "✔ {who}1 computation, last answer {after} after it."
        ));
    }
    if executions == 1 {
        return paint.bad(&format!(
            "✘ {who}1 computation, but not everybody got its result."
        ));
    }
    paint.bad(&format!(
        "✘ {who}{executions} computations: the work was not shared."
    ))
}
