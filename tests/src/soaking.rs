//! What the programs that run for long share.

use std::env;
use std::str::FromStr;

/// The value behind an option of the command line, if it is there.
///
/// # Panics
/// It is none of these.
pub fn option<T: FromStr>(name: &str) -> Option<T> {
    let value = env::args().skip_while(|argument| argument != name).nth(1)?;
    let known = value.parse();
    Some(known.unwrap_or_else(|_| panic!("{value:?} is nothing that {name} could be")))
}

/// What `--seconds` or `--minutes` says, in seconds.
pub fn seconds(left_out: f64) -> f64 {
    let minutes = option::<f64>("--minutes").map(|minutes| minutes * 60.0);
    option("--seconds").or(minutes).unwrap_or(left_out)
}

/// Random numbers, repeatable for a seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Those of this seed.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one, below `count`.
    pub fn one_of(&mut self, count: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count
    }
}
