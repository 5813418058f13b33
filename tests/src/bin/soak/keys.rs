use std::collections::BTreeMap;
use std::process;
use std::time::Duration;

use tests::soaking::Random;
use tests::{Callers, End, Options, Rules, Run, Scope, now_us};
use worksharing::store::FENCE_LIFE;

use super::Kind;

/// How long values live.
const TTL: Duration = Duration::from_millis(600);
/// Of some keys in changing rounds.
const LONG_TTL: Duration = Duration::from_secs(60);

/// How many keys a round has without any option, as few callers have any.
const PLAIN: u64 = 4;
/// How many it has with options at random.
const WITH_OPTIONS: u64 = 8;
/// How many tags there are.
const TAGS: u64 = 3;
/// The longest body, in milliseconds.
const BODY: u64 = 120;
/// That of keys whose callers do not wait for it.
const LONG: u64 = 3_000;
/// In changing rounds: until when some keys are asked for, and from when on again.
const BEGINNING: Duration = Duration::from_millis(1_500);
const END: Duration = Duration::from_millis(13_000);
/// How long some values are kept in a process; and how long where changes are not heard.
const LOCAL: Duration = Duration::from_secs(30);
pub(crate) const UNHEARD: Duration = Duration::from_millis(100);
/// After how long an invalidation, and after how long a commit, has reached every process, on a loaded machine.
const TOLD: Duration = Duration::from_millis(500);
const LAID: Duration = Duration::from_secs(4);
/// What a loaded machine, a frozen process and a slow network may add to a wait.
const SLACK: Duration = Duration::from_millis(1_500);
/// What a caller gets that has waited for too long.
pub(crate) const BUSY: &str = "busy";

/// The keys of a round, and what their callers ask for.
#[derive(Default)]
pub(crate) struct Keys {
    asked: BTreeMap<String, Asked>,
    began: u64,
    tags: Vec<String>,
    tombstone_ttl: Option<Duration>,
    in_postgres: bool,
}

struct Asked {
    options: Options,
    ttl: Duration,
    /// Whether nobody asks for a while, so that entries get old.
    rests: bool,
}

impl Keys {
    pub(crate) fn of_round(round: usize, kind: Kind, random: &mut Random) -> Self {
        let plain = (0..PLAIN).map(|_| Options::default());
        let tags: Vec<_> = (0..TAGS)
            .map(|tag| format!("round {round}, tag {tag}"))
            .collect();
        let with_options = (0..WITH_OPTIONS).map(|_| options(&tags, random));
        let options: Vec<_> = plain.chain(with_options).collect();
        let mut asked = BTreeMap::new();
        for (number, options) in options.into_iter().enumerate() {
            let asks = match kind {
                Kind::Changing => Asked::changing(options, random),
                Kind::Quiet | Kind::Stormy => Asked::usual(options),
            };
            asked.insert(format!("round {round}, key {number}"), asks);
        }
        // They go by themselves, or when their store loses them.
        let is_short = kind == Kind::Changing && random.one_of(2) == 0;
        Self {
            asked,
            began: 0,
            tags,
            tombstone_ttl: is_short.then_some(FENCE_LIFE),
            in_postgres: kind.is_in_postgres(round),
        }
    }

    /// The round begins.
    pub(crate) fn begin(&mut self) {
        self.began = now_us();
    }

    pub(crate) fn tombstone_ttl(&self) -> Option<Duration> {
        self.tombstone_ttl
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.asked.keys().cloned().collect()
    }

    pub(crate) fn tags(&self) -> &[String] {
        &self.tags
    }

    fn any(&self, random: &mut Random) -> (&str, &Asked) {
        let rests = BEGINNING..END;
        let at_rest = rests.contains(&self.elapsed());
        let asked = self.asked.iter();
        let mut asked: Vec<_> = asked
            .filter(|(_, asked)| !asked.rests || !at_rest)
            .collect();
        let number = random.one_of(asked.len() as u64) as usize;
        let (key, asked) = asked.swap_remove(number);
        (key, asked)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(now_us() - self.began)
    }

    /// Some callers of one of them.
    pub(crate) fn run(&self, random: &mut Random) -> Run {
        let (key, asked) = self.any(random);
        let end = match random.one_of(8) {
            0 => End::Nothing,
            _ => End::Maybe,
        };
        let body = match random.one_of(10) {
            0 if is_limited(&asked.options) => ms(LONG),
            _ => ms(random.one_of(BODY)),
        };
        let run = Run::of(key, body)
            .callers(Callers::Mixed(1 + random.one_of(4) as usize))
            .ttl(asked.ttl)
            .end(end)
            .options(asked.options.clone());
        match random.one_of(4) {
            0 => run.gives_up(ms(20 + random.one_of(80))),
            _ => run,
        }
    }

    /// Callers of the beginning, whose bodies outlast what supersedes them.
    pub(crate) fn long_runs(&self, random: &mut Random) -> Vec<Run> {
        let rest = self.asked.iter().filter(|(_, asked)| asked.rests);
        let runs = rest.map(|(key, asked)| {
            Run::of(key, ms(11_700 + random.one_of(1_300)))
                .callers(Callers::Mixed(1))
                .ttl(asked.ttl)
                .options(asked.options.clone())
        });
        runs.step_by(2).collect()
    }

    /// What of a run is invalidated: its key, or one of its tags.
    pub(crate) fn to_invalidate(run: &Run, random: &mut Random) -> (Scope, String) {
        let tags = &run.options.tags;
        let place = random.one_of(1 + tags.len() as u64) as usize;
        match tags.get(place) {
            Some(tag) => (Scope::Tag, tag.clone()),
            None => (Scope::Key, run.key.clone()),
        }
    }

    pub(crate) fn rules(&self, key: &str) -> Rules {
        let Some(Asked { options, ttl, .. }) = self.asked.get(key) else {
            return Rules::default();
        };
        let limit = options.wait.filter(|_| is_limited(options));
        let longest = limit.map(|wait| wait + SLACK);
        Rules {
            longest,
            reaches_within: options.local.map_or(Duration::ZERO, |_| TOLD),
            committed: Some((process::id(), self.commits_reach(options))),
            ..Rules::of(options, *ttl)
        }
    }
}

impl Keys {
    /// Looks into PostgreSQL see a commit at once. Elsewhere a process lays what was committed, and another one where that
    /// is killed.
    fn commits_reach(&self, options: &Options) -> Duration {
        if self.in_postgres && options.local.is_none() {
            Duration::ZERO
        } else {
            LAID
        }
    }
}

impl Asked {
    fn usual(options: Options) -> Self {
        Self {
            options,
            ttl: TTL,
            rests: false,
        }
    }

    /// Some entries stand until their store loses them.
    fn changing(options: Options, random: &mut Random) -> Self {
        Self {
            options,
            ttl: [TTL, LONG_TTL][random.one_of(2) as usize],
            rests: random.one_of(2) == 0,
        }
    }
}

/// Whether its callers wait for nothing but their own bodies for long.
fn is_limited(options: &Options) -> bool {
    options.wait.is_some() && options.on_timeout.is_some()
}

/// Each option, and each tag, half of the time.
fn options(tags: &[String], random: &mut Random) -> Options {
    let mut half = || random.one_of(2) == 0;
    let (detach, clone_errors, cache_none) = (half(), half(), half());
    let [early, waits, gives] = [half(), half(), half()];
    let force_refresh = half() && half() && half();
    let is_local = half();
    let tags = tags.iter().filter(|_| half()).cloned().collect();
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
        tags,
        local: is_local.then_some(LOCAL),
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
