use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tests::Verdict;

/// What a round is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Quiet,
    Stormy,
    Changing,
}

impl Kind {
    /// All of them in turn, each with either store.
    pub(crate) fn of_round(round: usize) -> Self {
        [Self::Quiet, Self::Stormy, Self::Changing][round % 3]
    }

    /// Whether its values are in PostgreSQL, and in Redis otherwise.
    pub(crate) fn is_in_postgres(self, round: usize) -> bool {
        self == Self::Changing && round % 2 == 1
    }

    /// How many processes take part.
    pub(crate) fn workers(self) -> usize {
        match self {
            Self::Quiet | Self::Stormy => 5,
            Self::Changing => 3,
        }
    }

    /// How long it lasts. Entries stand for ten seconds before their store may lose them.
    pub(crate) fn time(self) -> Duration {
        match self {
            Self::Quiet | Self::Stormy => Duration::from_secs(4),
            Self::Changing => Duration::from_secs(16),
        }
    }

    /// What must not be.
    pub(crate) fn complaints(self, verdict: &Verdict) -> Vec<String> {
        match self {
            Self::Quiet => verdict.complaints().collect(),
            Self::Stormy => Vec::new(),
            Self::Changing => verdict.about_origin().collect(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quiet => "quiet",
            Self::Stormy => "stormy",
            Self::Changing => "changing",
        })
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let kinds = [Self::Quiet, Self::Stormy, Self::Changing];
        kinds
            .into_iter()
            .find(|kind| kind.to_string() == name)
            .ok_or(())
    }
}
