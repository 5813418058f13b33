//! Who notices that a holder has died: one of the processes that wait, for all of them.
//!
//! A key whose holder has died is free, and nobody is told. So one process, which has the first of two seats, tries every
//! key that anybody waits for, many times a second and in one statement, and has those told that wait for a free one, as
//! if it had been released. Who has the second seat takes the first when that becomes free, and looks now and then, since the
//! process in the first may stand still. Whatever is missed is found by the waiters' own [polls](super::timers).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ::postgres::types::Type;
use ::postgres::{Client, Error};

use super::advisory::{FROM_LOCKS, UNLOCK_PLAINLY};
use super::prepared::Prepared;
use crate::backend::postgres::listener::CHANNEL;
use crate::backend::postgres::lock::KeyTable;

/// This session's part in it.
pub(super) struct Watch {
    seat: Seat,
    /// When something is due in this seat, and when the keys are looked at.
    due: Instant,
    look_due: Instant,
    /// When somebody here waited last.
    waited: Instant,
    list: List,
    claim: Prepared,
    succeed: Prepared,
    look: Prepared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seat {
    None,
    First,
    Second,
    /// A statement has failed that takes or leaves seats.
    Unknown,
}

/// The keys that processes wait for, as they were when they were last listed.
struct List {
    keys: Vec<i64>,
    /// Whether other sessions waited.
    has_others: bool,
    due: Instant,
    statement: Prepared,
}

/// The seats are advisory locks, too: `0xb`, and the low 60 bits of the md5 of `worksharing watch 1` and `… 2`.
const SEATS: [i64; 2] = [
    0xb94f_1cac_64a6_5510_u64.cast_signed(),
    0xb32b_fc66_ceea_39d5_u64.cast_signed(),
];
/// Who has waited for so long has itself watched for. Most waits are shorter.
const YOUNG: Duration = Duration::from_millis(20);
/// How often the keys are looked at, and listed; and how often they are looked at from the second seat.
const LOOK: Duration = Duration::from_millis(20);
const LIST: Duration = Duration::from_millis(250);
const SECOND_LOOK: Duration = Duration::from_millis(150);
/// A look takes a tenth of the time at most, and a list a fiftieth, however long the server takes for one.
const LOOKS: u32 = 10;
const LISTS: u32 = 50;
/// How often somebody without a seat asks for one.
const RETRY: Duration = Duration::from_secs(1);
/// For how long a seat is kept when nobody here waits any more; and the first one where others do, for whom a seat that
/// stays is cheaper.
const LINGER: Duration = Duration::from_secs(1);
const SERVE: Duration = Duration::from_secs(10);
/// So many keys are watched. Those who wait for others poll.
const MOST: i64 = 10_000;

const CLAIM: &str = "\
SELECT CASE WHEN pg_try_advisory_lock($1) THEN 1 WHEN pg_try_advisory_lock($2) THEN 2 ELSE 0 END";
const SUCCEED: &str = "\
SELECT CASE WHEN pg_try_advisory_lock($1) THEN pg_advisory_unlock($2) ELSE false END";

/// The lock keys of the interest that sessions show, and whether another session shows it.
fn awaited() -> String {
    format!(
        "SELECT (classid::bigint & 4026531839) << 32 | objid::bigint, bool_or(pid <> pg_backend_pid())
           {FROM_LOCKS} AND mode = 'ShareLock' AND classid::bigint >> 28 = 13
          GROUP BY 1 LIMIT $1"
    )
}

/// Tells those who wait for a free key. It is locked, shared, until the end of the statement, when they hear of it: who
/// has tried it meanwhile in vain tries again.
const WAKE: &str = "\
WITH tried AS MATERIALIZED (
  SELECT k, pg_try_advisory_xact_lock_shared(k) AS is_free FROM unnest($1::bigint[]) AS k)
SELECT k, pg_notify($2, k::text)::text FROM tried WHERE is_free";

impl Default for Watch {
    fn default() -> Self {
        let now = Instant::now();
        let of_seats = |sql| Prepared::new(sql, &[Type::INT8, Type::INT8]);
        Self {
            seat: Seat::None,
            due: now,
            look_due: now,
            waited: now,
            list: List {
                keys: Vec::new(),
                has_others: false,
                due: now,
                statement: Prepared::new(awaited(), &[Type::INT8]),
            },
            claim: of_seats(CLAIM),
            succeed: of_seats(SUCCEED),
            look: Prepared::new(WAKE, &[Type::INT8_ARRAY, Type::TEXT]),
        }
    }
}

impl Watch {
    /// When [`run`](Self::run) is to be called next.
    pub(super) fn due(&self, key_table: &KeyTable) -> Option<Instant> {
        match self.seat {
            Seat::None => Some(self.due.max(key_table.waits_since()? + YOUNG)),
            Seat::First | Seat::Second | Seat::Unknown => Some(self.due),
        }
    }

    /// Takes a seat, does what is due in it, or leaves it.
    pub(super) fn run(
        &mut self,
        client: &mut Client,
        key_table: &KeyTable,
        now: Instant,
    ) -> Result<(), Error> {
        if self.due(key_table).is_none_or(|due| due > now) {
            return Ok(());
        }
        let done = self.step(client, key_table, now);
        if done.is_err() {
            self.seat = Seat::Unknown;
            self.due = now + RETRY;
        }
        done
    }

    fn step(
        &mut self,
        client: &mut Client,
        key_table: &KeyTable,
        now: Instant,
    ) -> Result<(), Error> {
        if key_table.waits_since().is_some() {
            self.waited = now;
        }
        if self.is_to_leave(now) {
            return self.leave(client);
        }
        match self.seat {
            Seat::None => self.claim(client, now)?,
            Seat::Second => self.succeed(client, now)?,
            Seat::First | Seat::Unknown => (),
        }
        let pause = match self.seat {
            Seat::First => LOOK,
            Seat::Second => SECOND_LOOK,
            Seat::None | Seat::Unknown => return Ok(()),
        };
        let mut took = Duration::ZERO;
        if self.look_due <= now {
            took = self.look(client, key_table, now)?;
            self.look_due = now + pause.max(took * LOOKS);
        }
        self.due = now + LOOK.max(took * LOOKS);
        Ok(())
    }

    fn is_to_leave(&self, now: Instant) -> bool {
        let stays = match self.seat {
            Seat::First if self.list.has_others => SERVE,
            Seat::First | Seat::Second => LINGER,
            Seat::None => return false,
            Seat::Unknown => return true,
        };
        self.waited + stays <= now
    }

    fn leave(&mut self, client: &mut Client) -> Result<(), Error> {
        let [first, second] = SEATS;
        let left = match self.seat {
            Seat::None => Vec::new(),
            Seat::First => vec![first],
            Seat::Second => vec![second],
            Seat::Unknown => vec![first, second],
        };
        client.query_typed(UNLOCK_PLAINLY, &[(&left, Type::INT8_ARRAY)])?;
        self.seat = Seat::None;
        Ok(())
    }

    fn claim(&mut self, client: &mut Client, now: Instant) -> Result<(), Error> {
        let row = self.claim.query(client, &[&SEATS[0], &SEATS[1]])?;
        self.seat = match row.first().map(|row| row.get::<_, i32>(0)) {
            Some(1) => Seat::First,
            Some(2) => Seat::Second,
            _ => Seat::None,
        };
        self.due = now + RETRY;
        (self.look_due, self.list.due) = (now, now);
        Ok(())
    }

    fn succeed(&mut self, client: &mut Client, now: Instant) -> Result<(), Error> {
        let row = self.succeed.query(client, &[&SEATS[0], &SEATS[1]])?;
        if row.first().is_some_and(|row| row.get(0)) {
            self.seat = Seat::First;
            (self.look_due, self.list.due) = (now, now);
        }
        Ok(())
    }

    /// Has those woken who wait for free keys. Returns how long that took.
    fn look(
        &mut self,
        client: &mut Client,
        key_table: &KeyTable,
        now: Instant,
    ) -> Result<Duration, Error> {
        self.list.renew(client, now)?;
        let began = Instant::now();
        let mut keys: BTreeSet<i64> = self.list.keys.iter().copied().collect();
        keys.extend(key_table.awaited());
        // A session is not kept out by its own locks.
        let keys = key_table.not_held(keys);
        if !keys.is_empty() {
            for row in self.look.query(client, &[&keys, &CHANNEL])? {
                key_table.released(row.get(0));
            }
        }
        Ok(began.elapsed())
    }
}

impl List {
    fn renew(&mut self, client: &mut Client, now: Instant) -> Result<(), Error> {
        if self.due > now {
            return Ok(());
        }
        let began = Instant::now();
        let rows = self.statement.query(client, &[&MOST])?;
        self.keys = rows.iter().map(|row| row.get(0)).collect();
        self.has_others = rows.iter().any(|row| row.get(1));
        self.due = now + LIST.max(began.elapsed() * LISTS);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    #[test]
    fn seats_are_made_of_their_names() {
        for (seat, name) in SEATS.iter().zip(["1", "2"]) {
            let lock = Key::new(format!("worksharing watch {name}")).lock_key();
            // A lock key begins with 0xc.
            assert_eq!(*seat, lock ^ (0b111 << 60));
        }
    }
}
