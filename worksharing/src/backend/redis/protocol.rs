use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, RedisError, cmd};

use super::address::Address;
use super::commands::{Answer, Answered, Ask, Conversation};
use super::pace::Pace;
use super::refusal::refused;
use super::role;
use super::socket::{self, SILENCE};
use super::wire::Wire;
use crate::Error;
use crate::backend::link::{Protocol, Watchdog};
use crate::backend::process_name::process_name;

/// A connection with one server, which answers each batch as one pipeline.
pub(super) struct RedisProtocol {
    pub(super) address: Arc<Address>,
    pub(super) prefix: String,
    pub(super) idle_disconnect: Duration,
}

/// Nothing is asked of Redis for its own sake.
const IDLE: Duration = Duration::from_secs(3600);

impl Protocol for RedisProtocol {
    type Connection = Wire;
    type Ask = Ask;
    type Answer = Answer;

    /// By the time limits of its socket, and by its pace.
    const CALLER_MAY_SERVE: bool = true;

    fn name(&self) -> &str {
        &self.address.name
    }

    fn connect(&self, watchdog: &Watchdog) -> Result<Wire, Error> {
        #[cfg(feature = "sentinel")]
        if let Some(sentinels) = &self.address.sentinels {
            return sentinels.connect(&self.address, watchdog);
        }
        connect(&self.address, watchdog)
    }

    fn serve(
        &self,
        wire: &mut Wire,
        asks: &[Ask],
        watchdog: &Watchdog,
    ) -> Result<Vec<Result<Answer, Error>>, Error> {
        let answers = self
            .converse(wire, watchdog)
            .exchange(asks)
            .map_err(|error| lost(&self.address, error))?;
        let answer =
            |answer: Answered<_>| answer.map_err(|refusal| refused(&self.address, refusal));
        Ok(answers.into_iter().map(answer).collect())
    }

    fn serve_one(
        &self,
        wire: &mut Wire,
        ask: &Ask,
        watchdog: &Watchdog,
    ) -> Result<Result<Answer, Error>, Error> {
        let mut conversation = self.converse(wire, watchdog);
        let answer = match ask {
            Ask::Looks(..) => conversation
                .exchange(std::slice::from_ref(ask))
                .map(|mut answers| answers.remove(0)),
            ask => conversation.exchange_one(ask),
        };
        let answer = answer.map_err(|error| lost(&self.address, error))?;
        Ok(answer.map_err(|refusal| refused(&self.address, refusal)))
    }

    /// A server may shake hands and be silent.
    fn trial(&self) -> Option<Ask> {
        Some(Ask::nothing())
    }

    fn may_send_again(&self, ask: &Ask) -> bool {
        ask.may_be_sent_again()
    }

    fn due(&self, _wire: &Wire) -> Instant {
        Instant::now() + IDLE
    }

    fn tick(&self, _wire: &mut Wire, _watchdog: &Watchdog) -> Result<(), Error> {
        Ok(())
    }

    fn idle_disconnect(&self) -> Duration {
        self.idle_disconnect
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(1)
    }
}

impl RedisProtocol {
    fn converse<'a>(&'a self, wire: &'a mut Wire, watchdog: &'a Watchdog) -> Conversation<'a> {
        Conversation {
            wire,
            pace: Pace::new(watchdog),
            prefix: &self.prefix,
            asking: false,
        }
    }
}

/// A connection with the primary at an address, ready for use.
pub(super) fn connect(address: &Address, watchdog: &Watchdog) -> Result<Wire, Error> {
    watchdog.arm_for(SILENCE * 2);
    let mut wire = Wire::new(socket::connect(address, watchdog)?);
    log_in(address, &mut wire, watchdog)?;
    if address.login.db() != 0 {
        let said = say(
            address,
            &mut wire,
            watchdog,
            cmd("SELECT").arg(address.login.db()),
        )?;
        said.map_err(|refusal| refused(address, refusal))?;
    }
    introduce(address, &mut wire, watchdog)?;
    Ok(wire)
}

/// Gives the user and password of the URL, if it has any.
pub(super) fn log_in(address: &Address, wire: &mut Wire, watchdog: &Watchdog) -> Result<(), Error> {
    let login = &address.login;
    let Some(password) = login.password() else {
        return Ok(());
    };
    let named = login
        .username()
        .map(|name| cmd("AUTH").arg(name).arg(password).take());
    let unnamed = cmd("AUTH").arg(password).take();
    let mut said = say(address, wire, watchdog, named.as_ref().unwrap_or(&unnamed))?;
    // Before version 6 there were no names.
    if named.is_some() && said.as_ref().is_err_and(is_about_arguments) {
        said = say(address, wire, watchdog, &unnamed)?;
    }
    // What it says may repeat the password.
    said.map_err(|refusal| {
        let (name, code) = (&address.name, refusal.code().unwrap_or("ERR"));
        Error::unavailable(format!(
            "{name} refuses the user and password of the URL ({code}): write those that it knows, or none if it \
             asks for none"
        ))
    })
}

/// Says who asks, and asks what the server is.
fn introduce(address: &Address, wire: &mut Wire, watchdog: &Watchdog) -> Result<(), Error> {
    let mut pace = Pace::new(watchdog);
    let name = cmd("CLIENT")
        .arg("SETINFO")
        .arg("LIB-NAME")
        .arg("worksharing")
        .take();
    wire.whole_command(&name);
    let name = process_name("worksharing:", ':', 63);
    wire.whole_command(&cmd("CLIENT").arg("SETNAME").arg(name).take());
    if address.wants_primary {
        role::ask(wire);
    }
    let heard = wire.send(&mut pace).and_then(|()| {
        // What an older server does not know, and what this user may not say.
        drop(wire.reply(&mut pace)?);
        drop(wire.reply(&mut pace)?);
        match address.wants_primary {
            true => role::hear(wire, &mut pace),
            false => Ok(()),
        }
    });
    heard.map_err(|error| lost(address, error))
}

fn say(
    address: &Address,
    wire: &mut Wire,
    watchdog: &Watchdog,
    command: &Cmd,
) -> Result<Answered<()>, Error> {
    let mut pace = Pace::new(watchdog);
    wire.whole_command(command);
    let said = wire.send(&mut pace).and_then(|()| wire.reply(&mut pace));
    Ok(said.map_err(|error| lost(address, error))?.map(drop))
}

pub(super) fn lost(address: &Address, error: io::Error) -> Error {
    Error::unavailable(format!("{} was lost", address.name)).caused_by(error)
}

fn is_about_arguments(refusal: &RedisError) -> bool {
    let detail = refusal.detail().unwrap_or_default();
    detail.contains("wrong number of arguments")
}
