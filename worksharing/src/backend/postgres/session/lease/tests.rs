use ::tests::PostgresServer;

use super::*;

fn asked(lock: i64, nonce: i64) -> Asked {
    Asked { lock, nonce }
}

struct Process {
    leases: Leases,
    client: Client,
}

impl Process {
    fn on(server: &PostgresServer) -> Self {
        let table = Table::parse("worksharing").unwrap();
        Self {
            leases: Leases::new(&table, &Taken::default()),
            client: Client::connect(&server.url(), ::postgres::NoTls).unwrap(),
        }
    }

    fn takes(&mut self, asked: Asked) -> bool {
        let taken = self.leases.take(&mut self.client, &[asked]).unwrap();
        taken.contains(&asked.lock)
    }

    /// As when it is time to renew.
    fn look_after(&mut self, held: &[Asked]) {
        self.leases.renewal = Instant::now();
        let is_held = |asked: Asked| held.contains(&asked);
        self.leases.look_after(&mut self.client, is_held).unwrap();
    }
}

#[test]
fn what_is_sent_again_finds_what_it_has_taken() {
    let server = PostgresServer::start();
    let (mut one, mut other) = (Process::on(&server), Process::on(&server));
    assert!(one.takes(asked(1, 10)));
    assert!(one.takes(asked(1, 10)), "sent again");
    assert!(!other.takes(asked(1, 20)));
    one.leases
        .release(&mut one.client, &[asked(1, 10)])
        .unwrap();
    assert!(other.takes(asked(1, 20)));
    // A release that comes late is not of this lease.
    one.leases
        .release(&mut one.client, &[asked(1, 10)])
        .unwrap();
    assert!(!one.takes(asked(1, 11)));
    assert_eq!(one.leases.free(&mut one.client, &[1, 2]).unwrap(), [2]);
}

#[test]
fn only_what_somebody_holds_is_renewed_and_the_rest_is_given_back() {
    let server = PostgresServer::start();
    let (mut one, mut other) = (Process::on(&server), Process::on(&server));
    for asked in [asked(1, 10), asked(2, 20)] {
        assert!(one.takes(asked));
    }
    let sql = "UPDATE worksharing_leases SET lease_until = clock_timestamp() + interval '1 second'";
    one.client.batch_execute(sql).unwrap();
    one.look_after(&[asked(1, 10)]);
    assert!(other.takes(asked(2, 21)), "its answer was lost");
    std::thread::sleep(Duration::from_millis(1_100));
    assert!(!other.takes(asked(1, 11)), "it was renewed");
    assert_eq!(lock(&one.leases.taken).len(), 1);
    // One that was given back stays so.
    one.leases
        .release(&mut one.client, &[asked(1, 10)])
        .unwrap();
    lock(&one.leases.taken).insert(10, 1);
    one.look_after(&[asked(1, 10)]);
    assert!(other.takes(asked(1, 11)));
}

#[test]
fn who_asks_again_is_not_kept_out_by_what_this_process_has_lost() {
    let server = PostgresServer::start();
    let mut process = Process::on(&server);
    // Its answer never came, and the claim was given up.
    assert!(process.takes(asked(1, 10)));
    assert!(process.takes(asked(1, 11)));
    let taken = lock(&process.leases.taken).clone();
    assert_eq!(taken, HashMap::from([(11, 1)]));
}
