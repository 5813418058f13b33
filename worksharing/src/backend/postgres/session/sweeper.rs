use std::time::{Duration, Instant};

use ::postgres::types::Type;
use ::postgres::{Client, Error};

use super::statement::Statement;

/// Removes dead rows of a table, a few pages at a time: where it found many it goes on soon, else it looks somewhere
/// else, less and less often.
///
/// By pages, not by keys: where a long range of keys was swept, an index leads through all that has been there
/// until the table is vacuumed.
#[derive(Debug)]
pub(super) struct Sweeper {
    table: String,
    sql: String,
    statement: Statement,
    /// The next page.
    page: i64,
    pause: Duration,
    due: Instant,
}

/// How many pages are looked at, how many rows a page has at most, and how many bytes are removed.
const PAGES: i64 = 32;
const ROWS: usize = 291;
const BYTES: usize = 16 << 20;
/// The pause after pages of whose rows at least so many in a hundred were dead.
const MANY: i64 = 5;
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest pause, while rows are stored and while none are.
const STORING: Duration = Duration::from_secs(3);
const LONGEST: Duration = Duration::from_secs(30);

impl Sweeper {
    /// `is_dead` and `bytes` are SQL of a row.
    pub(super) fn new(table: &str, is_dead: &str, bytes: &str, statement: Statement) -> Self {
        // What a row is found dead by is asked again when it is removed: it may have been stored anew meanwhile.
        let sql = format!(
            "WITH found AS MATERIALIZED (
               SELECT tid, dead, coalesce(sum(bytes) FILTER (WHERE dead) OVER w, 0) AS bytes FROM (
                 SELECT ctid AS tid, {is_dead} AS dead, {bytes} AS bytes FROM {table} WHERE ctid = ANY(ARRAY(
                   SELECT format('(%s,%s)', page, item)::tid
                     FROM generate_series($1, $1 + {PAGES} - 1) AS page, generate_series(1, {ROWS}) AS item))) AS r
               WINDOW w AS (ORDER BY tid ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
             swept AS (
               DELETE FROM {table} WHERE {is_dead}
                  AND ctid = ANY(ARRAY(SELECT tid FROM found WHERE dead AND bytes < {BYTES})) RETURNING 1)
             SELECT count(*), (SELECT count(*) FROM swept), coalesce(bool_or(dead AND bytes >= {BYTES}), false),
                    pg_relation_size($2::text::regclass) / current_setting('block_size')::bigint, random()
               FROM found"
        );
        Self {
            table: table.to_owned(),
            sql,
            statement,
            page: 0,
            pause: SHORTEST,
            due: Instant::now() + Duration::from_secs(1),
        }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Rows were stored, which will be dead some time.
    pub(super) fn stored(&mut self) {
        self.due = self.due.min(Instant::now() + STORING);
    }

    /// Goes through the next pages, if it is time.
    pub(super) fn sweep(&mut self, client: &mut Client, now: Instant) -> Result<(), Error> {
        if self.due > now {
            return Ok(());
        }
        self.pause = (self.pause * 2).min(LONGEST);
        self.due = now + self.pause;
        let parameters: [(&(dyn ::postgres::types::ToSql + Sync), Type); 2] =
            [(&self.page, Type::INT8), (&self.table, Type::TEXT)];
        let rows = self.statement.run(client, &self.sql, &parameters)?;
        let Some(row) = rows.first() else {
            return Ok(());
        };
        let (seen, swept, has_more): (i64, i64, bool) = (row.get(0), row.get(1), row.get(2));
        let (pages, random): (i64, f64) = (row.get(3), row.get(4));
        let found_many = swept > 0 && swept * 100 >= seen * MANY;
        if found_many {
            self.pause = SHORTEST;
            self.due = now + self.pause;
        }
        self.page = match found_many {
            true if has_more => self.page,
            true if self.page + PAGES < pages => self.page + PAGES,
            true => 0,
            // What expires together was mostly stored together: the next look is taken somewhere else.
            false => (pages as f64 * random) as i64,
        };
        Ok(())
    }
}
