//! The picture: who computed, who waited, when each was served.

use std::time::Duration;

use crate::drawing::human;
use crate::options::Options;
use crate::paint::Paint;
use crate::record::{Caller, Record};

/// Columns of the chart. With the labels on both sides it fits 80.
const WIDTH: usize = 52;
/// More callers than this are drawn as one row for each process.
const MOST_ROWS: usize = 60;
/// What stands left of the chart.
const MARGIN: usize = 16;

/// A caller, or all of a process.
pub(crate) struct Row {
    /// Its process, where another one's rows end.
    pub(crate) process: String,
    /// Its number there.
    pub(crate) number: String,
    pub(crate) caller: Caller,
    /// How long it took, or how many were served.
    pub(crate) note: String,
}

pub(crate) fn timeline(record: &Record, options: &Options, paint: &Paint) {
    let scale = Scale::of(record);
    println!("{}", paint.dim(&scale.axis()));
    for row in rows(record, options) {
        println!(
            " {:<11} {:>2}  {} {:>9}",
            row.process,
            row.number,
            scale.row(&row.caller, paint),
            row.note
        );
    }
    if options.processes > MOST_ROWS {
        let more = options.processes - MOST_ROWS;
        println!(" {}", paint.dim(&format!("… and {more} more processes")));
    }
    legend(paint);
}

/// What is drawn: each caller, or, where they are too many, each process.
pub(crate) fn rows(record: &Record, options: &Options) -> Vec<Row> {
    let processes = record.processes.iter().enumerate().take(MOST_ROWS);
    if options.all_callers() <= MOST_ROWS {
        processes
            .flat_map(|(number, callers)| caller_rows(number, callers))
            .collect()
    } else {
        processes
            .map(|(number, callers)| process_row(number, callers))
            .collect()
    }
}

fn legend(paint: &Paint) {
    let (work, line, served) = (paint.work("██"), paint.dim("├──"), paint.good("●"));
    println!(
        "\n {:MARGIN$}{work} computes   {line}{served} waits, is served   {served} finds it stored\n",
        ""
    );
}

fn caller_rows(number: usize, callers: &[Caller]) -> impl Iterator<Item = Row> {
    callers.iter().enumerate().map(move |(i, caller)| Row {
        process: match i {
            0 => format!("process {}", number + 1),
            _ => String::new(),
        },
        number: (i + 1).to_string(),
        caller: caller.clone(),
        note: caller.took().map_or("no answer".to_owned(), human),
    })
}

/// All callers of a process in one row: from its first call to its last answer.
fn process_row(number: usize, callers: &[Caller]) -> Row {
    let served = callers.iter().filter_map(|caller| caller.served.clone());
    let caller = Caller {
        called: callers.iter().filter_map(|caller| caller.called).min(),
        begun: callers.iter().filter_map(|caller| caller.begun).min(),
        ended: callers.iter().filter_map(|caller| caller.ended).max(),
        served: served.clone().max(),
    };
    Row {
        process: format!("process {}", number + 1),
        number: String::new(),
        caller,
        note: format!("{} served", served.count()),
    }
}

/// From times to columns.
pub(crate) struct Scale {
    pub(crate) start: u64,
    span: u64,
}

impl Scale {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            start: record.start(),
            span: record.end().saturating_sub(record.start()).max(1),
        }
    }

    /// Where a time is, from 0 to 1.
    pub(crate) fn share(&self, at: u64) -> f64 {
        (at.saturating_sub(self.start) as f64 / self.span as f64).min(1.0)
    }

    /// Round times, for an axis.
    pub(crate) fn ticks(&self) -> impl Iterator<Item = Duration> {
        let span = self.span as f64 / 1e6;
        let step = round_step(span / 5.0);
        let ticks = (0..).map(move |i| f64::from(i) * step);
        ticks
            .take_while(move |at| *at <= span)
            .map(Duration::from_secs_f64)
    }

    fn column(&self, at: u64) -> usize {
        (self.share(at) * (WIDTH - 1) as f64).round() as usize
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
        let mut axis = " ".repeat(MARGIN);
        for at in self.ticks() {
            let column = MARGIN + self.column(self.start + at.as_micros() as u64);
            let label = format!("╷{}", human(at));
            if column + label.chars().count() > 80 {
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
