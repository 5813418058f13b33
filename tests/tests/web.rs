//! The example `axum_report` as two processes, and clients that hang up, or change what the reports are about. Cases 36,
//! 41 and 49.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::{Servers, Service, example, wait_until};

/// Of a client, when a report takes four seconds.
const IMPATIENT: Duration = Duration::from_millis(1_200);
const LIMIT: Duration = Duration::from_secs(30);
const CLIENTS: usize = 12;

const PROGRAM: &str = "axum_report";

fn start(program: &Path, directory: &TempDir) -> Service {
    let path = directory.path().to_str().unwrap();
    start_with(program, &[("WORKSHARING_DIRECTORY", path)])
}

fn start_with(program: &Path, environment: &[(&str, &str)]) -> Service {
    Service::start(program, &["0"], environment)
}

/// How many bodies have begun since this was asked for, and ended.
fn bodies(service: &Service) -> (usize, usize) {
    let said = service.said();
    let count = |what| said.iter().filter(|line| line.starts_with(what)).count();
    (count("computing"), count("computed"))
}

/// The body of the answer to such a client that asks for a page.
fn ask(service: &Service, page: &str, patience: Duration) -> Option<String> {
    let answer = service.request(&format!("GET {page}"), &[], patience)?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some(body.to_owned())
}

/// Clients of all services ask, hang up, and ask again, until they are served or for that long: how many were.
fn impatient_clients(services: &[Service; 2], page: &str, time: Duration) -> usize {
    let begun = Instant::now();
    let client = |number: usize| {
        while begun.elapsed() < time {
            if ask(&services[number % 2], page, IMPATIENT).is_some() {
                return true;
            }
        }
        false
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn({
                    let client = &client;
                    move || client(number)
                })
            })
            .collect();
        let served = clients.into_iter().map(|client| client.join().unwrap());
        served.filter(|served| *served).count()
    })
}

fn sum(services: &[Service]) -> (usize, usize) {
    let each = services.iter().map(bodies);
    each.fold((0, 0), |sum, bodies| (sum.0 + bodies.0, sum.1 + bodies.1))
}

#[test]
fn clients_that_hang_up_are_served_in_the_end() {
    let (program, directory) = (example(PROGRAM), tempfile::tempdir().unwrap());
    let services = [(); 2].map(|()| start(&program, &directory));
    assert_eq!(impatient_clients(&services, "/report/2024", LIMIT), CLIENTS);
    assert_eq!(sum(&services), (1, 1), "one body is enough");
}

#[test]
fn without_detach_no_report_is_ever_finished() {
    let (program, directory) = (example(PROGRAM), tempfile::tempdir().unwrap());
    let services = [(); 2].map(|()| start(&program, &directory));
    let time = 5 * IMPATIENT;
    assert_eq!(impatient_clients(&services, "/attached/2024", time), 0);
    let (begun, ended) = sum(&services);
    assert_eq!(ended, 0);
    assert!(begun > 1, "it is begun again and again: {begun}");
}

#[test]
fn report_that_nobody_waits_for_is_finished_before_its_process_ends() {
    let (program, directory) = (example(PROGRAM), tempfile::tempdir().unwrap());
    let mut ends = start(&program, &directory);
    assert_eq!(ask(&ends, "/report/2024", IMPATIENT), None);
    ends.terminate();
    let asked = Instant::now();
    assert!(ends.ends_well());
    assert!(asked.elapsed() > IMPATIENT, "it waits for the report");

    let other = start(&program, &directory);
    let report = ask(&other, "/report/2024", LIMIT).unwrap();
    let by = format!("\"computed_by\":{}", ends.pid());
    assert!(report.contains(&by), "{report}");
    assert_eq!(bodies(&other), (0, 0));
}

/// Sends an order. Whether it was taken.
fn order(service: &Service, year: u16) -> bool {
    let answer = service.request(&format!("POST /orders/{year}"), &[], LIMIT);
    answer.unwrap().starts_with("HTTP/1.1 201")
}

/// How many orders each of them reports.
fn reported(services: &[Service; 2], year: u16) -> [u64; 2] {
    services.each_ref().map(|service| {
        let report = ask(service, &format!("/report/{year}"), LIMIT).unwrap();
        let (_, orders) = report.split_once("\"orders\":").unwrap();
        let digits = orders.split(|c: char| !c.is_ascii_digit()).next();
        digits.unwrap().parse().unwrap()
    })
}

/// Orders of this year fail when they are committed.
const CLOSED: &str = "
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'closed'; END $$;
    CREATE CONSTRAINT TRIGGER closed AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.year = 2024) EXECUTE FUNCTION refuse()";

#[test]
fn order_invalidates_the_report_of_its_year_in_its_own_transaction() {
    order_invalidates(true);
}

#[test]
fn order_invalidates_where_the_reports_are_in_postgres_too() {
    order_invalidates(false);
}

/// A report lives for a minute, and is served for an hour. An order makes an end of it in its own transaction.
fn order_invalidates(in_redis: bool) {
    let (program, servers) = (example(PROGRAM), Servers::start());
    let (postgres, redis) = (servers.postgres.url(), servers.redis.url());
    let urls = [
        ("WORKSHARING_POSTGRES_URL", &*postgres),
        ("WORKSHARING_REDIS_URL", &*redis),
    ];
    let urls = if in_redis { &urls[..] } else { &urls[..1] };
    let services = [(); 2].map(|()| start_with(&program, urls));
    assert_eq!(reported(&services, 2024), [0, 0]);
    assert_eq!(sum(&services), (1, 1));
    assert!(order(&services[1], 2024));
    wait_until(LIMIT, "both report the order", || {
        reported(&services, 2024) == [1, 1]
    });

    // One that fails invalidates nothing. That one after it is heard of shows that this one would have been.
    servers.postgres.connect().batch_execute(CLOSED).unwrap();
    assert!(!order(&services[1], 2024));
    assert_eq!(reported(&services, 2025), [0, 0]);
    assert!(order(&services[1], 2025));
    wait_until(LIMIT, "both report the other order", || {
        reported(&services, 2025) == [1, 1]
    });
    sum(&services);
    assert_eq!(reported(&services, 2024), [1, 1]);
    assert_eq!(sum(&services), (0, 0));
}
