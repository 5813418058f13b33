use ::tests::PostgresServer;

use super::*;
use crate::store::{Look, Stored};

const HOUR: Duration = Duration::from_secs(3_600);

struct Fixture {
    values: Values,
    client: Client,
}

impl Fixture {
    fn on(server: &PostgresServer, own_session: bool) -> Self {
        Self {
            values: Values::new(
                &Table::parse("worksharing").unwrap(),
                Statement { own_session },
            ),
            client: Client::connect(&server.url(), ::postgres::NoTls).unwrap(),
        }
    }

    fn put(&mut self, key: &str, entry: &[u8], seen: Option<&[u8]>) -> bool {
        let put = Put {
            key: key.to_owned(),
            entry: Bytes::copy_from_slice(entry),
            ttl: Duration::MAX,
            fence: seen.map(|seen| Fence::new(Seen::of(Some(seen)), None)),
            text: None,
        };
        !self
            .values
            .put(&mut self.client, &[&put])
            .unwrap()
            .is_empty()
    }

    fn get(&mut self, key: &str, look: Look) -> Option<Stored> {
        let found = self
            .values
            .get(&mut self.client, &[key], look.max_bytes, &Texts::default());
        found.unwrap().get(key).map(|found| found.stored(look))
    }
}

fn of_both_kinds(test: impl Fn(Fixture)) {
    let server = PostgresServer::start();
    test(Fixture::on(&server, true));
    server
        .connect()
        .batch_execute("TRUNCATE worksharing")
        .unwrap();
    test(Fixture::on(&server, false));
}

#[test]
fn a_put_that_is_sent_again_has_stored_and_stores_nothing_over_what_is_newer() {
    of_both_kinds(|mut table| {
        assert!(table.put("key", b"one", Some(b"")));
        assert!(table.put("key", b"one", Some(b"")), "sent again");
        assert!(table.put("key", b"a tombstone", None));
        assert!(!table.put("key", b"one", Some(b"")), "sent again, too late");
        assert!(!table.put("key", b"two", Some(b"one")));
        assert!(table.put("key", b"two", Some(b"a tombstone")));
        let look = Look::up_to(3).with_time_left();
        let stored = table.get("key", look).unwrap();
        assert!(stored.whole && &*stored.bytes == b"two");
        assert!(stored.time_left.is_some_and(|left| left > HOUR));
    });
}

#[test]
fn of_a_value_that_is_too_large_only_the_beginning_is_read() {
    of_both_kinds(|mut table| {
        let large: Vec<u8> = (0..3 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
        assert!(table.put("large", &large, None));
        let whole = table.get("large", Look::up_to(4 << 20)).unwrap();
        assert!(whole.whole && *whole.bytes == *large);
        let beginning = table.get("large", Look::up_to(1 << 20)).unwrap();
        assert!(!beginning.whole);
        assert_eq!(*beginning.bytes, large[..Seen::LEN]);
        // Others may have asked for more of it.
        let found = table
            .values
            .get(&mut table.client, &["large"], 4 << 20, &Texts::default());
        let found = found.unwrap()["large"].stored(Look::up_to(100));
        assert!(!found.whole && found.bytes.len() >= Seen::LEN && found.bytes.len() <= 100);
    });
}

#[test]
fn what_a_check_stores_is_gone_afterwards() {
    of_both_kinds(|mut table| {
        assert_eq!(
            table.values.check(&mut table.client, "check").unwrap(),
            None
        );
        assert!(table.get("check", Look::up_to(100)).is_none());
    });
}

// 31: and none of the statements takes long.
#[test]
fn two_hundred_thousand_expired_rows_are_swept_in_a_minute() {
    let server = PostgresServer::start();
    let mut table = Fixture::on(&server, true);
    assert!(table.put("fresh", b"one", None));
    let rows =
        "INSERT INTO worksharing SELECT md5(n::text), 'x', clock_timestamp() - interval '1 second'
                  FROM generate_series(1, 200000) AS n";
    table.client.batch_execute(rows).unwrap();
    let (mut now, mut times) = (table.values.due().unwrap(), Vec::new());
    let until = now + Duration::from_secs(60);
    while now < until {
        let began = Instant::now();
        table.values.sweep(&mut table.client, now).unwrap();
        times.push(began.elapsed());
        now = table.values.due().unwrap();
    }
    let left = table
        .client
        .query_one("SELECT count(*) FROM worksharing", &[]);
    assert_eq!(left.unwrap().get::<_, i64>(0), 1);
    times.sort();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    eprintln!(
        "of {} statements half took {median:?}, the longest {longest:?}",
        times.len()
    );
    assert!(median < Duration::from_millis(200), "{median:?}");
    // With nothing to be found it is looked for seldom.
    assert!(times.len() < 250, "{}", times.len());
}

#[test]
fn rows_with_much_in_them_are_swept_a_few_at_a_time() {
    let server = PostgresServer::start();
    let mut table = Fixture::on(&server, true);
    assert!(table.put("fresh", b"one", None));
    let rows = "INSERT INTO worksharing
                SELECT md5(n::text), convert_to(repeat('x', 4 << 20), 'UTF8'), clock_timestamp() - interval '1 second'
                  FROM generate_series(1, 10) AS n";
    table.client.batch_execute(rows).unwrap();
    let now = table.values.due().unwrap();
    table.values.sweep(&mut table.client, now).unwrap();
    let left = table
        .client
        .query_one("SELECT count(*) FROM worksharing", &[]);
    // 16 MiB are reached with the fourth.
    assert_eq!(left.unwrap().get::<_, i64>(0), 7);
}
