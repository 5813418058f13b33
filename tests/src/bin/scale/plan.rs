//! How it is measured: the options of the command line.

use std::env;
use std::time::Duration;

use tests::soaking::option;

/// How it is measured.
pub(crate) struct Plan {
    /// So many processes for real, and by bare connections.
    pub(crate) real: Vec<usize>,
    pub(crate) bare: Vec<usize>,
    /// The kinds of bare ones.
    pub(crate) kinds: Vec<(&'static str, Sessions)>,
    /// How long a state is looked at, once it has settled.
    pub(crate) time: Duration,
    pub(crate) settle: Duration,
    /// How many commits notify.
    pub(crate) commits: usize,
    /// How many keys a process holds.
    pub(crate) held: usize,
    /// After how long without anything to do it disconnects.
    pub(crate) idle: Duration,
}

/// When a bare process has a session that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sessions {
    /// All the time.
    Listening,
    /// While it waits. With nothing to do it has none at all.
    OnDemand,
}

impl Plan {
    pub(crate) fn of_arguments() -> Self {
        let is_quick = env::args().any(|argument| argument == "--quick");
        let (most, seconds, settle, idle, commits) = match is_quick {
            true => ("12", 0.5, 0.5, 0.3, 5),
            false => ("20,200,1000", 10.0, 4.0, 1.0, 20),
        };
        let only: Option<String> = option("--only");
        let mut kinds = vec![
            ("bare, before", Sessions::Listening),
            ("bare, after", Sessions::OnDemand),
        ];
        kinds.retain(|(kind, _)| only.as_ref().is_none_or(|only| kind.ends_with(only)));
        Self {
            real: numbers("--real", most),
            bare: numbers("--bare", most),
            kinds,
            time: Duration::from_secs_f64(option("--seconds").unwrap_or(seconds)),
            settle: Duration::from_secs_f64(settle),
            commits,
            held: option("--held").unwrap_or(3),
            idle: Duration::from_secs_f64(idle),
        }
    }
}

/// A list of numbers behind an option. It may be empty.
fn numbers(name: &str, left_out: &str) -> Vec<usize> {
    let list = option(name).unwrap_or_else(|| left_out.to_owned());
    let numbers = list.split(',').filter(|number| !number.is_empty());
    let number = |text: &str| {
        text.parse()
            .unwrap_or_else(|_| panic!("{text:?} is no number of processes"))
    };
    numbers.map(number).collect()
}
