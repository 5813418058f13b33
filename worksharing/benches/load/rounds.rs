//! Contenders in turns, so that what else the machine does befalls all of them alike.

use anyhow::Result;

/// One that is measured: its name, and what runs it once and returns a figure.
pub(crate) struct Contender<'a> {
    name: &'a str,
    run: Box<dyn FnMut() -> Result<f64> + 'a>,
    goal: Goal,
}

/// A contender.
pub(crate) fn contender<'a>(name: &'a str, run: impl FnMut() -> Result<f64> + 'a) -> Contender<'a> {
    Contender {
        name,
        run: Box::new(run),
        goal: Goal::None,
    }
}

impl Contender<'_> {
    /// What the first contender is to be beside this one.
    pub(crate) fn goal(self, goal: Goal) -> Self {
        Self { goal, ..self }
    }
}

/// What the first contender's figure must be beside another's.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    /// At most so many times the other's.
    AtMost(f64),
    /// At least so many times the other's.
    AtLeast(f64),
    /// At most so much more than the other's.
    AtMostMore(f64),
    /// Only for comparison.
    None,
}

/// Runs the contenders in turns, once to warm up, and prints their figures, and how the first compares with
/// each other one.
pub(crate) fn compare(rounds: usize, unit: &str, mut contenders: Vec<Contender<'_>>) -> Result<()> {
    let mut figures = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..=rounds {
        for at in order(round, contenders.len()) {
            let figure = (contenders[at].run)()?;
            if round > 0 {
                figures[at].push(figure);
            }
        }
    }
    for (contender, figures) in contenders.iter().zip(&figures) {
        println!("  {:<34} {} {unit}", contender.name, Spread::of(figures));
    }
    for (contender, others) in contenders.iter().zip(&figures).skip(1) {
        let pairs = figures[0].iter().zip(others);
        let beside: Vec<f64> = pairs
            .map(|(first, other)| contender.goal.beside(*first, *other))
            .collect();
        let beside = Spread::of(&beside);
        let (what, unit) = contender.goal.measure(unit);
        println!(
            "  {:<34} {beside} {unit}{}",
            format!("{what} {}", contender.name),
            contender.goal.verdict(beside.median)
        );
    }
    Ok(())
}

/// Forth and back by turns: whoever comes second is not always the same.
fn order(round: usize, contenders: usize) -> Box<dyn Iterator<Item = usize>> {
    if round.is_multiple_of(2) {
        Box::new(0..contenders)
    } else {
        Box::new((0..contenders).rev())
    }
}

impl Goal {
    /// The first contender's figure beside another's.
    fn beside(self, first: f64, other: f64) -> f64 {
        match self {
            Self::AtMostMore(_) => first - other,
            _ => first / other,
        }
    }

    fn measure(self, unit: &str) -> (&str, &str) {
        match self {
            Self::AtMostMore(_) => ("more than", unit),
            _ => ("ratio to", "×"),
        }
    }

    fn verdict(self, figure: f64) -> String {
        let (sign, bound, reached) = match self {
            Self::AtMost(bound) | Self::AtMostMore(bound) => ('≤', bound, figure <= bound),
            Self::AtLeast(bound) => ('≥', bound, figure >= bound),
            Self::None => return String::new(),
        };
        format!(
            "   required {sign} {bound}: {}",
            if reached { "reached" } else { "MISSED" }
        )
    }
}

/// The median of figures, and how far they lie apart.
pub(crate) struct Spread {
    lowest: f64,
    pub(crate) median: f64,
    highest: f64,
}

impl Spread {
    /// Of figures, of which there must be one.
    pub(crate) fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        Self {
            lowest: sorted[0],
            median: sorted[sorted.len() / 2],
            highest: sorted[sorted.len() - 1],
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            lowest,
            median,
            highest,
        } = self;
        let digits = if *median < 100.0 { 2 } else { 0 };
        write!(
            f,
            "{median:>9.digits$} ({lowest:.digits$} to {highest:.digits$})"
        )
    }
}
