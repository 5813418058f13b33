//! Redis Sentinel: who tells where the primary is.
//!
//! Asked at each connection: a primary that dies or is demoted loses its connections, and the next one goes to whom the
//! sentinels name by then. <https://redis.io/docs/latest/develop/reference/sentinel-clients/>

use super::address::Address;
use super::pace::Pace;
use super::protocol::{connect, log_in, lost};
use super::refusal::refused;
use super::socket;
use super::wire::Wire;
use crate::Error;
use crate::backend::link::Watchdog;

pub(crate) struct Sentinels {
    /// What they call the primary and its replicas.
    name: String,
    addresses: Vec<Address>,
}

impl Sentinels {
    pub(super) fn new(name: &str, addresses: Vec<Address>) -> Self {
        Self {
            name: name.to_owned(),
            addresses,
        }
    }

    /// A connection with the primary that the first sentinel names whose primary is one.
    ///
    /// # Errors
    /// None of them does: what the last one said.
    pub(super) fn connect(&self, address: &Address, watchdog: &Watchdog) -> Result<Wire, Error> {
        let mut last = Error::unavailable("there is no sentinel");
        for sentinel in &self.addresses {
            let primary = self.primary(sentinel, watchdog);
            let connected = primary.and_then(|(host, port)| {
                let mut primary = address.at(&host, port);
                primary.sentinels = None;
                connect(&primary, watchdog)
            });
            match connected {
                Ok(wire) => return Ok(wire),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Where a sentinel says that the primary is.
    fn primary(&self, sentinel: &Address, watchdog: &Watchdog) -> Result<(String, u16), Error> {
        watchdog.arm_for(socket::SILENCE * 2);
        let mut wire = Wire::new(socket::connect(sentinel, watchdog)?);
        let mut told = self.ask(sentinel, &mut wire, watchdog)?;
        // Most ask for no password, and would refuse one.
        if told
            .as_ref()
            .is_err_and(|refusal| refusal.code() == Some("NOAUTH"))
        {
            log_in(sentinel, &mut wire, watchdog)?;
            told = self.ask(sentinel, &mut wire, watchdog)?;
        }
        let told = told.map_err(|refusal| refused(sentinel, refusal))?;
        let unknown = || {
            let (name, sentinel) = (&self.name, &sentinel.name);
            Error::unavailable(format!(
                "the sentinel {sentinel} knows of no master {name:?}: write the name that its configuration gives"
            ))
        };
        match told.as_deref() {
            Some([host, port]) => Ok((host.clone(), port.parse().map_err(|_| unknown())?)),
            _ => Err(unknown()),
        }
    }

    fn ask(
        &self,
        sentinel: &Address,
        wire: &mut Wire,
        watchdog: &Watchdog,
    ) -> Result<Result<Option<Vec<String>>, redis::RedisError>, Error> {
        let mut pace = Pace::new(watchdog);
        wire.command("SENTINEL", 2);
        wire.small(b"get-master-addr-by-name");
        wire.small(self.name.as_bytes());
        let told = wire.send(&mut pace).and_then(|()| wire.texts(&mut pace));
        told.map_err(|error| lost(sentinel, error))
    }
}
