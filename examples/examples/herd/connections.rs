//! Counts the herd's connections to PostgreSQL, by the name that they have there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use postgres::{Client, Config, NoTls};

use crate::Trouble;

/// The most connections that there were at a time.
pub(crate) struct Connections {
    pub(crate) most: usize,
    /// Their `application_name`.
    pub(crate) name: String,
}

/// A count that goes on.
pub(crate) struct Watch {
    done: Arc<AtomicBool>,
    counter: JoinHandle<Result<usize, Trouble>>,
    name: String,
}

/// Names the connections of a URL, unless they have a name. Returns the URL and the name.
pub(crate) fn name(url: &str) -> (String, String) {
    let named = url
        .parse::<Config>()
        .ok()
        .and_then(|config| config.get_application_name().map(str::to_owned));
    if let Some(name) = named {
        return (url.to_owned(), name);
    }
    let name = format!("herd-{}", std::process::id());
    let separator = match (url.contains("://"), url.contains('?')) {
        (false, _) => ' ',
        (true, false) => '?',
        (true, true) => '&',
    };
    (format!("{url}{separator}application_name={name}"), name)
}

pub(crate) fn watch(url: String, name: String) -> Watch {
    let done = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&done);
    let of = name.clone();
    let counter = thread::spawn(move || {
        let mut config: Config = url.parse()?;
        let mut client = config.application_name("herd's own").connect(NoTls)?;
        let mut most = 0;
        while !stop.load(Ordering::Relaxed) {
            most = most.max(count(&mut client, &of)?);
            thread::sleep(Duration::from_millis(50));
        }
        Ok(most)
    });
    Watch {
        done,
        counter,
        name,
    }
}

fn count(client: &mut Client, name: &str) -> Result<usize, Trouble> {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    let count: i64 = client.query_one(sql, &[&name])?.get(0);
    Ok(usize::try_from(count)?)
}

impl Watch {
    /// The most connections, if they could be counted.
    pub(crate) fn finish(self) -> Option<Connections> {
        self.done.store(true, Ordering::Relaxed);
        match self.counter.join().ok()? {
            Ok(most) => Some(Connections {
                most,
                name: self.name,
            }),
            Err(trouble) => {
                eprintln!("herd: connections are not counted: {trouble}");
                None
            }
        }
    }
}
