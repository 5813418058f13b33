use std::collections::BTreeMap;
use std::time::Duration;

use tests::soaking::Random;
use tests::{Callers, End, Options, Rules, Run};

use super::TTL;

/// How many keys a round has without any option, as few callers have any.
const PLAIN: u64 = 4;
/// How many it has with options at random.
const WITH_OPTIONS: u64 = 8;
/// The longest body, in milliseconds.
const BODY: u64 = 120;
/// That of keys whose callers do not wait for it.
const LONG: u64 = 3_000;
/// What a loaded machine, a frozen process and a slow network may add to a wait.
const SLACK: Duration = Duration::from_millis(1_500);
/// What a caller gets that has waited for too long.
pub(crate) const BUSY: &str = "busy";

/// The keys of a round: the options of each, and when it was invalidated.
#[derive(Default)]
pub(crate) struct Keys {
    options: BTreeMap<String, Options>,
    invalidated: BTreeMap<String, Vec<(u64, u64)>>,
}

impl Keys {
    pub(crate) fn of_round(round: usize, random: &mut Random) -> Self {
        let plain = (0..PLAIN).map(|_| Options::default());
        let with_options = (0..WITH_OPTIONS).map(|_| options(random));
        let options: Vec<_> = plain.chain(with_options).collect();
        let named = options.into_iter().enumerate();
        Self {
            options: named
                .map(|(number, options)| (format!("round {round}, key {number}"), options))
                .collect(),
            ..Self::default()
        }
    }

    fn any(&self, random: &mut Random) -> String {
        let number = random.one_of(self.options.len() as u64) as usize;
        self.options.keys().nth(number).cloned().unwrap_or_default()
    }

    /// Some callers of one of them.
    pub(crate) fn run(&self, random: &mut Random) -> Run {
        let key = self.any(random);
        let end = match random.one_of(8) {
            0 => End::Nothing,
            _ => End::Maybe,
        };
        let options = &self.options[&key];
        let body = match random.one_of(10) {
            0 if is_limited(options) => LONG,
            _ => random.one_of(BODY),
        };
        let run = Run::of(&key, ms(body))
            .callers(Callers::Mixed(1 + random.one_of(4) as usize))
            .ttl(TTL)
            .end(end)
            .options(options.clone());
        match random.one_of(4) {
            0 => run.gives_up(ms(20 + random.one_of(80))),
            _ => run,
        }
    }

    pub(crate) fn invalidated(&mut self, key: String, from: u64, to: u64) {
        self.invalidated.entry(key).or_default().push((from, to));
    }

    pub(crate) fn rules(&self, key: &str) -> Rules {
        let options = self.options.get(key).cloned().unwrap_or_default();
        let invalidated = self.invalidated.get(key).cloned().unwrap_or_default();
        let limit = options.wait.filter(|_| is_limited(&options));
        let longest = limit.map(|wait| wait + SLACK);
        Rules {
            invalidated,
            longest,
            ..Rules::of(&options, TTL)
        }
    }
}

/// Whether its callers wait for nothing but their own bodies for long.
fn is_limited(options: &Options) -> bool {
    options.wait.is_some() && options.on_timeout.is_some()
}

/// Each option half of the time.
fn options(random: &mut Random) -> Options {
    let mut half = || random.one_of(2) == 0;
    let (detach, clone_errors, cache_none) = (half(), half(), half());
    let [early, waits, gives] = [half(), half(), half()];
    let force_refresh = half() && half() && half();
    let mut time = |most| (random.one_of(2) == 0).then(|| ms(1 + random.one_of(most)));
    Options {
        detach,
        stale_while_revalidate: time(1_000),
        stale_if_error: time(2_000),
        early_refresh: early.then_some(1.0),
        jitter: time(200),
        cache_err: time(300),
        wait: waits.then(|| ms(30 + random.one_of(120))),
        on_timeout: gives.then(|| BUSY.to_owned()),
        clone_errors,
        cache_none,
        force_refresh,
        tags: Vec::new(),
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
