//! One process of the herd.

use std::io::{self, BufRead as _, Write as _};
use std::thread;
use std::time::{Duration, SystemTime};

use tracing_subscriber::filter::LevelFilter;
use worksharing::{WorkSharing, work_shared};

use crate::Trouble;
use crate::options::{Member, Options};
use crate::record::now_us;

/// The work. `caller` is left out of the key: it does not matter who asks.
#[work_shared(ttl = "60s", key = "herd:{report}")]
fn compute(report: &str, caller: usize, body: Duration) -> String {
    tell("begins", caller, "");
    thread::sleep(body);
    tell("ends", caller, "");
    format!("{report} by {}/{caller}", std::process::id())
}

pub(crate) fn run(member: &Member, options: &Options) -> Result<(), Trouble> {
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_writer(io::stderr)
        .init();
    let sharing = match set_up() {
        Ok(sharing) => sharing,
        Err(trouble) => {
            println!("trouble {trouble}");
            return Ok(());
        }
    };
    tell("ready", 0, "");
    let mut told = io::stdin().lock().lines();
    let Some(start) = told.next() else {
        return Ok(()); // the herd was called off
    };
    let start: u64 = start?.trim().parse()?;
    thread::scope(|scope| {
        for (caller, delay) in arrivals(member.number, options).into_iter().enumerate() {
            scope.spawn(move || call(&member.report, options.body, caller, start + delay));
        }
    });
    tell("done", 0, &sharing.stats().degraded.to_string());
    // Like a service it lives on: until the whole herd is served.
    told.for_each(drop);
    Ok(())
}

fn set_up() -> Result<WorkSharing, worksharing::Error> {
    let sharing = WorkSharing::from_env()?;
    sharing.check()?;
    sharing.install()?;
    Ok(sharing)
}

fn call(report: &str, body: Duration, caller: usize, at_us: u64) {
    thread::sleep(Duration::from_micros(
        at_us.saturating_sub(now_us(SystemTime::now())),
    ));
    tell("calls", caller, "");
    let report = compute(report, caller, body);
    tell("served", caller, &report);
}

/// When each caller comes, in microseconds after the start: the first at once, most of them early, as in a herd,
/// the last ones late. In ascending order. The same for every run.
fn arrivals(process: usize, options: &Options) -> Vec<u64> {
    let spread = options.spread().as_micros() as f64;
    let mut arrivals: Vec<_> = (0..options.callers)
        .map(|caller| match caller {
            0 => 0,
            // Multiples of the golden ratio fill an interval evenly, however many there are.
            _ => {
                let place = (process * options.callers + caller) as f64 * 0.618_034;
                (place.fract().powi(2) * spread) as u64
            }
        })
        .collect();
    arrivals.sort_unstable();
    arrivals
}

/// One line to the herd's drawer. If it is gone, nobody needs to know.
fn tell(what: &str, caller: usize, more: &str) {
    let at = now_us(SystemTime::now());
    let _ = writeln!(io::stdout(), "{what} {caller} {at} {more}");
}
