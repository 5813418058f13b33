use std::env;
use std::path::PathBuf;
use std::time::Duration;

use crate::Trouble;

pub(crate) const HELP: &str = "\
Several processes with several callers each ask for one key. See how often it is computed.

  cargo run --release --example herd -- [OPTIONS]

  --processes N     how many processes                                     [4]
  --callers N       how many callers in each of them                       [5]
  --body TIME       how long the work takes, like 1.5s or 250ms         [1.5s]
  --spread TIME     within which time the callers come    [1.25 times the body]
  --postgres URL    locks in PostgreSQL, and values where there is no Redis, in
                    a table `worksharing` that is made and stays
  --redis URL       values in Redis
  --directory PATH  locks and values in files          [a temporary directory]
  --svg FILE        draw it into a file, too
  --memory          each process for itself, to see what it is without sharing

WORKSHARING_POSTGRES_URL, WORKSHARING_REDIS_URL and WORKSHARING_DIRECTORY are
read where an option is left out. The exit code is 0 if the work was done once.
";

/// What this process is to do.
pub(crate) enum Role {
    Help,
    /// The whole herd.
    Herd(Options),
    /// One process of it.
    Process(Member, Options),
}

pub(crate) struct Options {
    pub(crate) processes: usize,
    pub(crate) callers: usize,
    pub(crate) body: Duration,
    spread: Option<Duration>,
    pub(crate) postgres: Option<String>,
    pub(crate) redis: Option<String>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) memory: bool,
    /// Where the picture goes.
    pub(crate) svg: Option<PathBuf>,
}

pub(crate) struct Member {
    /// Its number, from 0.
    pub(crate) number: usize,
    /// What is asked for. Different for each run, so that nothing is stored yet.
    pub(crate) report: String,
}

pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Role, Trouble> {
    let mut options = Options::default();
    let mut member = None;
    while let Some(option) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or(format!("write a value behind {option}"))
        };
        match option.as_str() {
            "--help" | "-h" => return Ok(Role::Help),
            "--memory" => options.memory = true,
            "--processes" => options.processes = count(&value()?)?,
            "--callers" => options.callers = count(&value()?)?,
            "--body" => options.body = time(&value()?)?,
            "--spread" => options.spread = Some(time(&value()?)?),
            "--postgres" => options.postgres = Some(value()?),
            "--redis" => options.redis = Some(value()?),
            "--directory" => options.directory = Some(value()?.into()),
            "--svg" => options.svg = Some(value()?.into()),
            "--member" => {
                member = Some(Member {
                    number: value()?.parse()?,
                    report: value()?,
                })
            }
            other => return Err(format!("{other} is not an option; --help lists them").into()),
        }
    }
    Ok(match member {
        Some(member) => Role::Process(member, options),
        None => Role::Herd(options.with_environment()),
    })
}

impl Default for Options {
    fn default() -> Self {
        Self {
            processes: 4,
            callers: 5,
            body: Duration::from_millis(1_500),
            spread: None,
            postgres: None,
            redis: None,
            directory: None,
            memory: false,
            svg: None,
        }
    }
}

impl Options {
    pub(crate) fn all_callers(&self) -> usize {
        self.processes * self.callers
    }

    /// Within which time the callers come. A bit longer than the work takes, so that some find it done.
    pub(crate) fn spread(&self) -> Duration {
        self.spread.unwrap_or(self.body.mul_f64(1.25))
    }

    /// `DATABASE_URL` is not looked at: a demonstration should not write into whatever database that is.
    fn with_environment(mut self) -> Self {
        if self.memory {
            return self;
        }
        let read = |name| env::var(name).ok().filter(|value| !value.is_empty());
        self.postgres = self.postgres.or_else(|| read("WORKSHARING_POSTGRES_URL"));
        self.redis = self.redis.or_else(|| read("WORKSHARING_REDIS_URL"));
        let directory = || read("WORKSHARING_DIRECTORY").map(PathBuf::from);
        self.directory = self.directory.or_else(directory);
        self
    }
}

fn count(text: &str) -> Result<usize, Trouble> {
    match text.parse() {
        Ok(count @ 1..=1_000) => Ok(count),
        _ => Err(format!("{text:?} is not a number from 1 to 1000").into()),
    }
}

/// Reads `1.5s` and `250ms`.
fn time(text: &str) -> Result<Duration, Trouble> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds = number.parse::<f64>().ok().map(|number| number * unit);
    match seconds.filter(|seconds| (0.0..=3600.0).contains(seconds)) {
        Some(seconds) => Ok(Duration::from_secs_f64(seconds)),
        None => Err(format!("{text:?} is not a time: write 1.5s or 250ms, at most an hour").into()),
    }
}
