//! A process of the demonstration: callers that ask for the same few reports as those of the other processes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::time::sleep;
use worksharing::work_shared;

use crate::reporter::{Reported, Reporter};
use crate::{Trouble, place};

const CALLERS: u64 = 3;

/// The work. `call` is left out of the key: it does not matter who asks.
#[work_shared(key = "report:{year}:{region}", ttl = "12s", skip(call))]
async fn report(year: u16, region: &str, call: &Reported) -> String {
    call.body_begins();
    sleep(Duration::from_millis(4_500 + u64::from(year % 4) * 1_200)).await;
    call.body_ends(true);
    format!("all is well in {region} in {year}")
}

/// Quick: mostly hits, and too short to be seen computing.
#[work_shared(key = "price:{item}", ttl = "5s", skip(call))]
async fn price(item: u64, call: &Reported) -> u64 {
    call.body_begins();
    sleep(Duration::from_millis(150)).await;
    call.body_ends(true);
    item * 17
}

/// Fails now and then.
#[work_shared(key = "forecast:{region}", ttl = "10s", skip(call, lucky))]
async fn forecast(region: &str, lucky: bool, call: &Reported) -> Result<Forecast, String> {
    call.body_begins();
    sleep(Duration::from_millis(3_200)).await;
    call.body_ends(lucky);
    if lucky {
        Ok(Forecast { rising: true })
    } else {
        Err(format!(
            "no forecast for {region}: the model does not answer"
        ))
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Forecast {
    rising: bool,
}

pub(crate) async fn run(dashboard: &SocketAddr) -> Result<(), Trouble> {
    let sharing = place::open()?;
    sharing.install()?;
    let reporter = Reporter::start(*dashboard, sharing)?;
    for caller in 0..CALLERS {
        let seed = u64::from(std::process::id()) * CALLERS + caller + 1;
        tokio::spawn(ask_on_and_on(reporter.clone(), Chance(seed)));
    }
    // Until the dashboard ends, or is killed: then this pipe is closed.
    let ended = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    ended.map(drop).map_err(|error: io::Error| error.into())
}

async fn ask_on_and_on(reporter: Reporter, mut chance: Chance) {
    loop {
        sleep(Duration::from_millis(200 + chance.below(1_400))).await;
        ask(&reporter, &mut chance).await;
    }
}

async fn ask(reporter: &Reporter, chance: &mut Chance) {
    let region = ["DE", "FR"][chance.below(2) as usize];
    match chance.below(10) {
        0..=4 => {
            let year = 2024 + chance.below(2) as u16;
            let call = reporter.call(
                concat!(module_path!(), "::report"),
                &format!("report:{year}:{region}"),
            );
            report(year, region, &call).await;
        }
        5..=7 => {
            let item = chance.below(3);
            let call = reporter.call(concat!(module_path!(), "::price"), &format!("price:{item}"));
            price(item, &call).await;
        }
        _ => {
            let lucky = chance.below(4) > 0;
            let call = reporter.call(
                concat!(module_path!(), "::forecast"),
                &format!("forecast:{region}"),
            );
            // An error has been counted already.
            let _ = forecast(region, lucky, &call).await;
        }
    }
}

/// Numbers that look like chance: what is shown differs from run to run, and needs no more than that.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
