//! Whether a server is a primary. A replica tells what its primary told it some time ago, and would tell it after an
//! invalidation, too.

use std::io;
use std::time::Instant;

use super::pace::Pace;
use super::wire::{Reply, Wire};

pub(super) fn ask(wire: &mut Wire) {
    wire.command("INFO", 1);
    wire.small(b"replication");
}

/// What it says of itself. One that does not tell, or not to this user, is not asked again; one that asks for a password
/// first is, since it may do without one later.
///
/// # Errors
/// It is a replica, or the connection is lost.
pub(super) fn hear(wire: &mut Wire, pace: &mut Pace<'_>) -> io::Result<()> {
    let told = match wire.reply(pace)? {
        Ok(Reply::Bytes(told)) => told,
        Err(refusal) if refusal.code() == Some("NOAUTH") => {
            wire.role_asked = Some(Instant::now());
            return Ok(());
        }
        _ => {
            wire.role_asked = None;
            return Ok(());
        }
    };
    if told
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"role:slave"))
    {
        return Err(io::Error::other(
            "it is a replica, which may tell of what was invalidated: write the URL of its primary",
        ));
    }
    wire.role_asked = Some(Instant::now());
    Ok(())
}
