use std::net::{Ipv4Addr, SocketAddr};

use crate::{Trouble, place};

pub(crate) const HELP: &str = "\
Who computes and who waits, live, on one page.

  cargo run --release --example dashboard -- [OPTIONS]

  --listen ADDRESS   where the page is                         [127.0.0.1:8300]
  --workers N        processes of its own that ask for reports, to have
                     something to look at   [4, and 0 where servers are named]

Looks at the servers of WORKSHARING_POSTGRES_URL (else DATABASE_URL) and
WORKSHARING_REDIS_URL (else REDIS_URL), or into WORKSHARING_DIRECTORY; with none
of them, at files of this clone. Whoever can reach the page can invalidate keys.
";

/// What this process is to do.
pub(crate) enum Role {
    Help,
    Dashboard(Options),
    /// A process of the demonstration, and the port of the dashboard that it tells what it does.
    Worker(SocketAddr),
}

pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    workers: Option<usize>,
}

impl Options {
    /// Nobody's servers are given work that was not asked for.
    pub(crate) fn workers(&self) -> usize {
        let usual = if place::named().is_empty() { 4 } else { 0 };
        self.workers.unwrap_or(usual)
    }
}

pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Role, Trouble> {
    let mut options = Options {
        listen: (Ipv4Addr::LOCALHOST, 8300).into(),
        workers: None,
    };
    while let Some(option) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.ok_or(format!("write a value behind {option}"))
        };
        match option.as_str() {
            "--help" | "-h" => return Ok(Role::Help),
            "--listen" => options.listen = address(&value()?)?,
            "--workers" => options.workers = Some(count(&value()?)?),
            "--worker-of" => return Ok(Role::Worker(address(&value()?)?)),
            other => return Err(format!("{other} is not an option; --help lists them").into()),
        }
    }
    Ok(Role::Dashboard(options))
}

fn address(text: &str) -> Result<SocketAddr, Trouble> {
    text.parse()
        .map_err(|_| format!("{text:?} is not an address and a port: write 127.0.0.1:8300").into())
}

fn count(text: &str) -> Result<usize, Trouble> {
    match text.parse() {
        Ok(count @ 0..=64) => Ok(count),
        _ => Err(format!("{text:?} is not a number from 0 to 64").into()),
    }
}
