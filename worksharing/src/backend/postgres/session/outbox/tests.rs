use std::thread;

use ::tests::PostgresServer;
use bytes::Bytes;

use super::*;
use crate::backend::postgres::session::pending::Texts;
use crate::backend::postgres::session::values::Values;
use crate::backend::postgres::table::Table;
use crate::store::{Fence, Look, Seen, Stored};

const MINE: &str = "values";

struct Fixture {
    outbox: Outbox,
    values: Values,
    client: Client,
}

impl Fixture {
    fn on(server: &PostgresServer) -> Self {
        let pending = Pending {
            names: Names::new("worksharing"),
            store: MINE.to_owned(),
        };
        let statement = Statement { own_session: true };
        let mut fixture = Self {
            outbox: Outbox::new(pending, statement),
            values: Values::new(&Table::parse("worksharing").unwrap(), statement),
            client: Client::connect(&server.url(), ::postgres::NoTls).unwrap(),
        };
        let lacks = fixture.outbox.ensure(&mut fixture.client).unwrap();
        assert_eq!(lacks, None);
        fixture.values.go_by(fixture.outbox.pending());
        fixture
    }

    fn register(&mut self, store: &str) -> bool {
        self.outbox.register(&mut self.client, store).unwrap()
    }

    fn invalidate(&mut self, text: &str) {
        let sql = "SELECT worksharing_invalidate($1)";
        self.client.execute(sql, &[&text]).unwrap();
    }

    fn take(&mut self, store: &str) -> Vec<i64> {
        let rows = self.outbox.take(&mut self.client, store, 0, &[]).unwrap();
        rows.iter().map(|row| row.id).collect()
    }

    fn done(&mut self, store: &str, rows: &[i64]) {
        self.outbox.done(&mut self.client, store, rows).unwrap();
    }

    fn count(&mut self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        self.client.query_one(&sql, &[]).unwrap().get(0)
    }

    /// The key of a text is the text, here.
    fn entry(text: &str, bytes: &[u8], seen: Option<&[u8]>) -> Put {
        Put {
            key: text.to_owned(),
            entry: Bytes::copy_from_slice(bytes),
            ttl: Duration::from_secs(60),
            fence: seen.map(|seen| Fence::new(Seen::of(Some(seen)), None)),
            text: Some(of(text)),
        }
    }

    fn put(&mut self, text: &str, bytes: &[u8], seen: &[u8]) -> bool {
        let put = Self::entry(text, bytes, Some(seen));
        let stored = self.values.put(&mut self.client, &[&put]).unwrap();
        stored.contains(text)
    }

    fn get(&mut self, text: &str) -> Option<Stored> {
        let (wanted, look) = (of(text), Look::up_to(100));
        let texts: Texts<'_> = [(text, &wanted)].into_iter().collect();
        let found = self.values.get(&mut self.client, &[text], 100, &texts);
        found.unwrap().get(text).map(|found| found.stored(look))
    }

    fn lay(&mut self, text: &str, bytes: &[u8], rows: &[i64]) -> bool {
        let laid = Laid {
            rows: rows.to_vec(),
            entry: Self::entry(text, bytes, None),
        };
        let due = self.outbox.names.due();
        let laid = self.values.lay(&mut self.client, &due, MINE, &[laid]);
        laid.unwrap().contains(text)
    }
}

fn of(text: &str) -> Text {
    Text {
        what: What::Key,
        text: text.to_owned(),
    }
}

#[test]
fn each_store_is_given_every_row_once() {
    let server = PostgresServer::start();
    let mut table = Fixture::on(&server);
    table.invalidate("before");
    assert_eq!(table.take("one"), [0_i64; 0], "it is not registered");
    assert!(table.register("one"));
    assert!(!table.register("one"));
    assert!(table.register("two"));
    table.invalidate("after");
    let rows = table.take("one");
    assert_eq!(rows.len(), 2);
    assert_eq!(table.take("one"), rows, "it is not done");
    table.done("one", &rows);
    assert_eq!(table.take("one"), [0_i64; 0]);
    assert_eq!(table.take("two"), rows);
    table.done("two", &rows[..1]);
    assert_eq!(table.take("two"), rows[1..]);
}

#[test]
fn one_process_looks_after_a_store_until_it_does_not() {
    let server = PostgresServer::start();
    let mut table = Fixture::on(&server);
    table.register(MINE);
    let mut claim = |by| table.outbox.claim(&mut table.client, MINE, by).unwrap();
    assert!(claim(1) && claim(1) && !claim(2));
    thread::sleep(Duration::from_millis(1_100));
    assert!(claim(2) && !claim(1));
    table.outbox.release(&mut table.client, MINE, 1).unwrap();
    let mut claim = |by| table.outbox.claim(&mut table.client, MINE, by).unwrap();
    assert!(!claim(1), "it was not its own");
    table.outbox.release(&mut table.client, MINE, 2).unwrap();
    let mut claim = |by| table.outbox.claim(&mut table.client, MINE, by).unwrap();
    assert!(claim(1));
}

#[test]
fn a_store_that_is_gone_for_good_keeps_no_rows() {
    let server = PostgresServer::start();
    let mut table = Fixture::on(&server);
    table.register(MINE);
    table.register("gone");
    table.invalidate("text");
    assert_eq!(table.take(MINE).len(), 1);
    for (age, left) in [("71 hours", 2), ("73 hours", 1)] {
        let sql = format!(
            "UPDATE worksharing_outbox_stores SET claimed_until = now() - interval '{age}' WHERE store = 'gone'"
        );
        table.client.batch_execute(&sql).unwrap();
        table.outbox.sweep = Instant::now();
        assert!(table.outbox.claim(&mut table.client, MINE, 1).unwrap());
        assert_eq!(table.count("worksharing_outbox_stores"), left);
        assert_eq!(table.count("worksharing_outbox_due"), left);
    }
}

#[test]
fn what_is_pending_has_no_value_and_takes_none() {
    let server = PostgresServer::start();
    let mut table = Fixture::on(&server);
    table.register(MINE);
    assert!(table.put("text", b"old", b""));
    assert!(!table.get("text").unwrap().is_pending);
    table.invalidate("text");
    table.invalidate("missing");
    for _ in 0..2 {
        for text in ["text", "missing"] {
            assert!(table.get(text).unwrap().is_pending);
            // Of a leader that looked before.
            assert!(!table.put(text, b"of before", b"old"));
        }
        assert!(table.put("other", b"one", b""));
        table.client.batch_execute("TRUNCATE worksharing").unwrap();
        // Then as rows that are due.
        assert_eq!(table.take(MINE).len(), 2);
    }
    // What is due elsewhere is none of ours.
    let elsewhere = "UPDATE worksharing_outbox_due SET store = 'another'";
    table.client.batch_execute(elsewhere).unwrap();
    assert!(table.put("text", b"new", b""));
    assert!(!table.get("text").unwrap().is_pending);
}

#[test]
fn what_is_due_is_laid_once_and_over_anything() {
    let server = PostgresServer::start();
    let mut table = Fixture::on(&server);
    table.register(MINE);
    assert!(table.put("text", b"old", b""));
    table.invalidate("text");
    table.invalidate("text");
    let rows = table.take(MINE);
    assert_eq!(rows.len(), 2);
    assert!(table.lay("text", b"tombstone", &rows));
    assert_eq!(&*table.get("text").unwrap().bytes, b"tombstone");
    assert!(
        !table.lay("text", b"again", &rows),
        "sent again, or by another"
    );
    assert_eq!(&*table.get("text").unwrap().bytes, b"tombstone");
    assert!(!table.put("text", b"of before", b"old"));
    assert!(table.put("text", b"new", b"tombstone"));
    assert_eq!(table.take(MINE), [0_i64; 0]);
}

// Two that are at the same rows do not wait for each other.
#[test]
fn rows_that_another_session_is_at_are_left_to_it() {
    let server = PostgresServer::start();
    let mut table = Fixture::on(&server);
    table.register(MINE);
    table.invalidate("text");
    let rows = table.take(MINE);
    let mut other = server.connect();
    let mut at_it = other.transaction().unwrap();
    at_it
        .execute("DELETE FROM worksharing_outbox_due", &[])
        .unwrap();
    assert!(!table.lay("text", b"tombstone", &rows));
    assert!(table.get("text").unwrap().is_pending);
    at_it.rollback().unwrap();
    assert!(table.lay("text", b"tombstone", &rows));
}

#[test]
fn what_is_added_is_a_row_like_any_other() {
    let server = PostgresServer::start();
    let mut table = Fixture::on(&server);
    table.register(MINE);
    let tag = Text {
        what: What::Tag,
        text: "user:7".to_owned(),
    };
    table.outbox.add(&mut table.client, &tag).unwrap();
    let rows = table.outbox.take(&mut table.client, MINE, 0, &[]).unwrap();
    assert_eq!(rows[0].text, Some(tag));
}
