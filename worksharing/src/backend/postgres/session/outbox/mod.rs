//! What is said about the outbox.

mod round;
mod tables;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use ::postgres::types::Type;
use ::postgres::{Client, Error, Row as SqlRow};

use crate::backend::postgres::outbox::Names;
use crate::backend::postgres::session::batch::Put;
use crate::backend::postgres::session::pending::Pending;
use crate::backend::postgres::session::statement::{Parameters, Statement};
use crate::outbox::{LONGEST_TEXT, Row, Text, What};

/// What is asked about the outbox.
#[derive(Debug)]
pub(crate) enum OutboxAsk {
    /// Make it, if it is not there.
    Check,
    Register(String),
    Forget(String),
    Claim {
        store: String,
        by: i64,
    },
    Release {
        store: String,
        by: i64,
    },
    Last(String),
    HasUntil {
        store: String,
        last: i64,
    },
    Take {
        store: String,
        after: i64,
        texts: Vec<Text>,
    },
    Done {
        store: String,
        rows: Vec<i64>,
    },
    Lay {
        store: String,
        entries: Vec<Laid>,
    },
    Add(Text),
}

/// An entry that is laid in the table of values for these rows.
#[derive(Debug)]
pub(crate) struct Laid {
    pub(crate) rows: Vec<i64>,
    pub(crate) entry: Put,
}

#[derive(Debug)]
pub(crate) enum OutboxAnswer {
    Done,
    Is(bool),
    Last(i64),
    Rows(Vec<Row>),
}

/// The outbox of a session.
pub(super) struct Outbox {
    pub(super) names: Names,
    statement: Statement,
    pending: Pending,
    is_there: bool,
    /// Why it is not, and until when that is taken for granted.
    lacks: Option<(Instant, String)>,
    sweep: Instant,
}

/// So many rows are taken at a time.
const ROWS: usize = 500;
/// Who has not renewed a claim for so long has left the store to others.
const CLAIM: &str = "1 second";
/// What nobody has looked after for so long is forgotten.
const FORGOTTEN: &str = "3 days";
/// How often that is looked for.
const SWEEP: Duration = Duration::from_secs(60);
impl Outbox {
    pub(super) fn new(pending: Pending, statement: Statement) -> Self {
        Self {
            names: pending.names.clone(),
            statement,
            pending,
            is_there: false,
            lacks: None,
            sweep: Instant::now() + SWEEP,
        }
    }

    fn run(
        &self,
        client: &mut Client,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<SqlRow>, Error> {
        self.statement.run(client, sql, parameters)
    }

    fn is(
        &self,
        client: &mut Client,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<bool, Error> {
        let rows = self.run(client, sql, parameters)?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// Everything but what is said about values.
    pub(super) fn serve(
        &mut self,
        client: &mut Client,
        ask: &OutboxAsk,
    ) -> Result<OutboxAnswer, Error> {
        match ask {
            // What lays is about values; and that the rest is there has been seen to.
            OutboxAsk::Check | OutboxAsk::Lay { .. } => Ok(OutboxAnswer::Done),
            OutboxAsk::Register(store) => self.register(client, store).map(OutboxAnswer::Is),
            OutboxAsk::Forget(store) => self.forget(client, store),
            OutboxAsk::Claim { store, by } => self.claim(client, store, *by).map(OutboxAnswer::Is),
            OutboxAsk::Release { store, by } => self.release(client, store, *by),
            OutboxAsk::Last(store) => self.last(client, store).map(OutboxAnswer::Last),
            OutboxAsk::HasUntil { store, last } => {
                self.has_until(client, store, *last).map(OutboxAnswer::Is)
            }
            OutboxAsk::Take {
                store,
                after,
                texts,
            } => self
                .take(client, store, *after, texts)
                .map(OutboxAnswer::Rows),
            OutboxAsk::Done { store, rows } => self.done(client, store, rows),
            OutboxAsk::Add(text) => self.add(client, text),
        }
    }

    fn register(&self, client: &mut Client, store: &str) -> Result<bool, Error> {
        let sql = format!(
            "INSERT INTO {} (store, claimed_by, claimed_until) VALUES ($1, 0, clock_timestamp())
             ON CONFLICT DO NOTHING RETURNING true",
            self.names.stores()
        );
        self.is(client, &sql, &[(&store, Type::TEXT)])
    }

    fn forget(&self, client: &mut Client, store: &str) -> Result<OutboxAnswer, Error> {
        let sql = format!("DELETE FROM {} WHERE store = $1", self.names.stores());
        self.run(client, &sql, &[(&store, Type::TEXT)])?;
        Ok(OutboxAnswer::Done)
    }

    /// Of a hundred processes that ask, one writes.
    fn claim(&mut self, client: &mut Client, store: &str, by: i64) -> Result<bool, Error> {
        let sql = format!(
            "UPDATE {stores} SET claimed_by = $2, claimed_until = clock_timestamp() + '{CLAIM}'::interval
              WHERE store = $1 AND (claimed_by = $2 OR claimed_until < clock_timestamp())
             RETURNING true",
            stores = self.names.stores()
        );
        let parameters: Parameters<'_> = &[(&store, Type::TEXT), (&by, Type::INT8)];
        let is_claimed = self.is(client, &sql, parameters)?;
        let now = Instant::now();
        if is_claimed && self.sweep <= now {
            self.sweep = now + SWEEP;
            self.sweep(client)?;
        }
        Ok(is_claimed)
    }

    /// A store that is gone for good must not keep rows for ever.
    fn sweep(&self, client: &mut Client) -> Result<(), Error> {
        let [_, due, stores] = self.names.tables();
        let sql = format!(
            "DELETE FROM {stores} WHERE claimed_until < clock_timestamp() - '{FORGOTTEN}'::interval"
        );
        self.run(client, &sql, &[])?;
        let sql = format!(
            "DELETE FROM {due} AS d WHERE (store, id) IN (
               SELECT store, id FROM {due} AS d WHERE NOT EXISTS (SELECT FROM {stores} AS s WHERE s.store = d.store)
                LIMIT 10000)"
        );
        self.run(client, &sql, &[]).map(drop)
    }

    fn release(&self, client: &mut Client, store: &str, by: i64) -> Result<OutboxAnswer, Error> {
        let sql = format!(
            "UPDATE {} SET claimed_until = clock_timestamp() WHERE store = $1 AND claimed_by = $2",
            self.names.stores()
        );
        self.run(client, &sql, &[(&store, Type::TEXT), (&by, Type::INT8)])?;
        Ok(OutboxAnswer::Done)
    }

    fn last(&self, client: &mut Client, store: &str) -> Result<i64, Error> {
        let [rows, due, _] = self.names.tables();
        let sql = format!(
            "SELECT greatest((SELECT max(id) FROM {rows}), (SELECT max(id) FROM {due} WHERE store = $1), 0)"
        );
        let found = self.run(client, &sql, &[(&store, Type::TEXT)])?;
        Ok(found.first().map(|row| row.get(0)).unwrap_or_default())
    }

    fn has_until(&self, client: &mut Client, store: &str, last: i64) -> Result<bool, Error> {
        let [rows, due, _] = self.names.tables();
        let sql = format!(
            "SELECT EXISTS (SELECT FROM {rows} WHERE id <= $2)
                 OR EXISTS (SELECT FROM {due} WHERE store = $1 AND id <= $2)"
        );
        self.is(client, &sql, &[(&store, Type::TEXT), (&last, Type::INT8)])
    }

    /// Gives what is new to every store, in one step with removing it, and returns what is due in one of them.
    fn take(
        &self,
        client: &mut Client,
        store: &str,
        after: i64,
        texts: &[Text],
    ) -> Result<Vec<Row>, Error> {
        // Looked for at every tick, while there is mostly nothing: that much is cheap.
        if !self.has_until(client, store, i64::MAX)? {
            return Ok(Vec::new());
        }
        let [rows, due, stores] = self.names.tables();
        let is_wanted = "(cardinality($3::text[]) = 0 OR text = ANY($3))";
        let sql = format!(
            "WITH new AS MATERIALIZED (
               SELECT id FROM {rows} WHERE {is_wanted} AND EXISTS (SELECT FROM {stores} WHERE store = $1)
                ORDER BY id LIMIT {ROWS} FOR UPDATE SKIP LOCKED),
             gone AS (
               DELETE FROM {rows} AS r USING new WHERE r.id = new.id RETURNING r.id, r.kind, r.text),
             given AS (
               INSERT INTO {due} (store, id, kind, text)
               SELECT s.store, id, kind, text FROM gone CROSS JOIN {stores} AS s
                WHERE octet_length(text) <= {LONGEST_TEXT}
               RETURNING store, id, kind, text)
             SELECT id, kind, text FROM given WHERE store = $1
             UNION ALL SELECT id, kind, NULL FROM gone WHERE octet_length(text) > {LONGEST_TEXT}
             UNION ALL (SELECT id, kind, text FROM {due} WHERE store = $1 AND id > $2 AND {is_wanted}
                         ORDER BY id LIMIT {ROWS})
             ORDER BY id"
        );
        let texts: Vec<&str> = texts.iter().map(|text| &*text.text).collect();
        let parameters: Parameters<'_> = &[
            (&store, Type::TEXT),
            (&after, Type::INT8),
            (&texts, Type::TEXT_ARRAY),
        ];
        let found = self.run(client, &sql, parameters)?;
        Ok(found.iter().map(row).collect())
    }

    fn done(&self, client: &mut Client, store: &str, rows: &[i64]) -> Result<OutboxAnswer, Error> {
        let sql = format!(
            "DELETE FROM {} WHERE store = $1 AND id = ANY($2)",
            self.names.due()
        );
        self.run(
            client,
            &sql,
            &[(&store, Type::TEXT), (&rows, Type::INT8_ARRAY)],
        )?;
        Ok(OutboxAnswer::Done)
    }

    /// What is written here must survive a crash of the server.
    fn add(&self, client: &mut Client, text: &Text) -> Result<OutboxAnswer, Error> {
        let sql = format!(
            "INSERT INTO {} (kind, text) VALUES ($1, $2)",
            self.names.rows()
        );
        let parameters: Parameters<'_> =
            &[(&text.what.number(), Type::INT2), (&text.text, Type::TEXT)];
        self.statement.run_durably(client, &sql, parameters)?;
        Ok(OutboxAnswer::Done)
    }
}

/// Whatever somebody has written there.
fn row(row: &SqlRow) -> Row {
    let what = What::of(row.get(1));
    // Where the database does not look at encodings, it may be anything.
    let text: Option<String> = row.try_get(2).unwrap_or_default();
    Row {
        id: row.get(0),
        text: what.zip(text).map(|(what, text)| Text { what, text }),
    }
}
