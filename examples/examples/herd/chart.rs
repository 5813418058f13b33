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

pub(crate) fn timeline(record: &Record, options: &Options, paint: &Paint) {
    let scale = Scale {
        start: record.start(),
        span: record.end().saturating_sub(record.start()).max(1),
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
    legend(paint);
}

fn legend(paint: &Paint) {
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
