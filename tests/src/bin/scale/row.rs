//! What was measured, as a table.

use std::time::Duration;

use crate::Notified;
use crate::server::Cost;

/// The figures of so many processes.
#[derive(Debug, Default)]
pub(crate) struct Row {
    kind: String,
    processes: usize,
    load: String,
    /// How long it took until all had connected.
    pub(crate) connected: Duration,
    pub(crate) sessions: usize,
    /// Memory of the server for each session.
    pub(crate) mib: f64,
    pub(crate) locks: usize,
    pub(crate) quiet: Cost,
    pub(crate) notified: Notified,
    pub(crate) sessions_waiting: usize,
    pub(crate) locks_waiting: usize,
    pub(crate) waiting: Cost,
    /// From the end of what all waited for to the last answer.
    pub(crate) served: Option<Duration>,
    pub(crate) sessions_idle: usize,
}

impl Row {
    pub(crate) fn of(kind: &str, processes: usize, load: String) -> Self {
        Self {
            kind: kind.to_owned(),
            processes,
            load,
            ..Self::default()
        }
    }

    /// Each figure with its heading.
    fn figures(&self) -> Vec<(&'static str, String)> {
        let per_process = |cost: Cost| {
            let micros = micros(cost.cpu) / cost.lasted.as_secs_f64() / self.processes as f64;
            format!("{micros:.1} µs/s")
        };
        let per_second = |cost: Cost| {
            let wake_ups = cost.wake_ups as f64 / cost.lasted.as_secs_f64();
            format!("{wake_ups:.0}/s")
        };
        let cores = |cost: Cost| {
            let share = cost.cpu.as_secs_f64() / cost.lasted.as_secs_f64();
            format!("{:.1} %", 100.0 * share)
        };
        let watch = self.waiting.watch.map(|cpu| {
            let share = cpu.as_secs_f64() / self.waiting.lasted.as_secs_f64();
            format!("{:.2} %", 100.0 * share)
        });
        let per_listener = micros(self.notified.cpu) / self.notified.listeners.max(1) as f64;
        let served = self
            .served
            .map(|time| format!("{:.0} ms", micros(time) / 1_000.0));
        let none = || "–".to_owned();
        let of_listeners = |text: String| match self.notified.listeners {
            0 => none(),
            _ => text,
        };
        vec![
            ("processes", self.processes.to_string()),
            ("kind", self.kind.clone()),
            ("load", self.load.clone()),
            (
                "connected in",
                format!("{:.1} s", self.connected.as_secs_f64()),
            ),
            ("sessions, quiet", self.sessions.to_string()),
            ("MiB each", format!("{:.2}", self.mib)),
            ("locks, quiet", self.locks.to_string()),
            ("wake-ups, quiet", per_second(self.quiet)),
            ("CPU a process, quiet", per_process(self.quiet)),
            ("of a core, quiet", cores(self.quiet)),
            ("listeners", self.notified.listeners.to_string()),
            (
                "NOTIFY to the last",
                of_listeners(format!("{:.1} ms", micros(self.notified.time) / 1_000.0)),
            ),
            (
                "CPU a listener",
                of_listeners(format!("{per_listener:.1} µs")),
            ),
            ("sessions, waiting", self.sessions_waiting.to_string()),
            ("locks, waiting", self.locks_waiting.to_string()),
            ("wake-ups, waiting", per_second(self.waiting)),
            ("CPU a process, waiting", per_process(self.waiting)),
            ("of a core, waiting", cores(self.waiting)),
            ("who watches, of a core", watch.unwrap_or_else(none)),
            ("release to the last", served.unwrap_or_else(none)),
            ("sessions, idle", self.sessions_idle.to_string()),
        ]
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// A line for each figure, and a column for each row.
pub(crate) fn print(rows: &[Row]) {
    let columns: Vec<_> = rows.iter().map(Row::figures).collect();
    let Some(first) = columns.first() else { return };
    for (line, (heading, _)) in first.iter().enumerate() {
        let figures = columns.iter().map(|column| column[line].1.as_str());
        let figures = figures.collect::<Vec<_>>().join(" | ");
        println!("| {heading} | {figures} |");
        if line == 0 {
            println!("|---|{}", "---|".repeat(columns.len()));
        }
    }
}
