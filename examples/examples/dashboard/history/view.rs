//! What the page is told.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use super::bars::{Bar, waiting};
use super::keys::Known;
use super::{History, WINDOW, Who, now};
use crate::told::Counted;

#[derive(Serialize)]
pub(crate) struct View {
    now: u64,
    window: u64,
    place: String,
    trouble: Option<String>,
    processes: Vec<Process>,
    keys: Vec<Known>,
    /// The sum of what processes tell, and how many do.
    counted: Counted,
    telling: usize,
}

#[derive(Serialize)]
struct Process {
    host: String,
    process: u32,
    bars: Vec<Bar>,
}

impl History {
    pub(crate) fn view(&mut self) -> View {
        self.looked_at = Instant::now();
        self.forget();
        let mut counted = Counted::default();
        for telling in self.telling.values() {
            counted.add(&telling.counted);
        }
        View {
            now: now(),
            window: WINDOW,
            place: self.place.clone(),
            trouble: self.trouble.clone(),
            processes: self.processes(),
            keys: self.keys.list(),
            counted,
            telling: self.telling.len(),
        }
    }

    /// Those that tell of themselves, and those that have computed something.
    fn processes(&self) -> Vec<Process> {
        let telling = self.telling.keys().map(|who| (who.clone(), Vec::new()));
        let mut processes: BTreeMap<Who, Vec<Bar>> = telling.collect();
        for bar in self.bars.iter() {
            let bars = processes.entry(bar.who.clone()).or_default();
            bars.push(bar.clone());
        }
        for (who, telling) in &self.telling {
            let calls = telling.calls.iter().filter(|(_, call)| !call.computes);
            let waiting = calls.filter_map(|(number, call)| waiting(who, *number, call, now()));
            processes.entry(who.clone()).or_default().extend(waiting);
        }
        let process = |((host, process), mut bars): (Who, Vec<Bar>)| {
            bars.sort_by_key(|bar| bar.from);
            Process {
                host,
                process,
                bars,
            }
        };
        processes.into_iter().map(process).collect()
    }
}
