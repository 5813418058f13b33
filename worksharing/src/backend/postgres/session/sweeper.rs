use std::time::{Duration, Instant};

use ::postgres::types::Type;
use ::postgres::{Client, Error};

/// Removes dead rows of a table, one small range of its primary key after the other: soon again where it found
/// many, else less and less often.
#[derive(Debug)]
pub(super) struct Sweeper {
    sql: String,
    first: String,
    /// Where the next range begins.
    cursor: String,
    pause: Duration,
    due: Instant,
}

/// How many rows a range has, and how many bytes it may remove.
const ROWS: usize = 1_000;
const BYTES: usize = 16 << 20;
/// The pause after a range of which at least so many in a hundred were dead.
const MANY: i64 = 5;
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

impl Sweeper {
    /// `key` is the primary key's column, its type, and a key before all others; `is_dead` and `bytes` are SQL of a
    /// row.
    pub(super) fn new(
        table: &str,
        key: (&str, &str, impl ToString),
        is_dead: &str,
        bytes: &str,
    ) -> Self {
        let (column, kind, first) = key;
        // What a row is found dead by is asked again when it is removed: it may have been stored anew meanwhile.
        let sql = format!(
            "WITH range AS MATERIALIZED (
               SELECT k, tid, dead, coalesce(sum(bytes) FILTER (WHERE dead) OVER w, 0) AS bytes FROM (
                 SELECT {column} AS k, ctid AS tid, {is_dead} AS dead, {bytes} AS bytes FROM {table}
                  WHERE {column} > $1::text::{kind} ORDER BY {column} LIMIT {ROWS}) AS r
               WINDOW w AS (ORDER BY k ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
             swept AS (
               DELETE FROM {table} WHERE {is_dead}
                  AND ctid = ANY(ARRAY(SELECT tid FROM range WHERE dead AND bytes < {BYTES})) RETURNING 1)
             SELECT max(k)::text, count(*), (SELECT count(*) FROM swept) FROM range WHERE bytes < {BYTES}"
        );
        let first = first.to_string();
        Self {
            sql,
            cursor: first.clone(),
            first,
            pause: SHORTEST,
            due: Instant::now() + Duration::from_secs(1),
        }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Goes through the next range, if it is time.
    pub(super) fn sweep(&mut self, client: &mut Client, now: Instant) -> Result<(), Error> {
        if self.due > now {
            return Ok(());
        }
        self.pause = (self.pause * 2).min(LONGEST);
        self.due = now + self.pause;
        let row = client.query_typed_one(&self.sql, &[(&self.cursor, Type::TEXT)])?;
        let (seen, swept): (i64, i64) = (row.get(1), row.get(2));
        if swept > 0 && swept * 100 >= seen * MANY {
            self.pause = SHORTEST;
            self.due = now + self.pause;
        }
        // From the last range the way is back to the first.
        let last: Option<String> = row.get(0);
        self.cursor = last.unwrap_or_else(|| self.first.clone());
        Ok(())
    }
}
