//! The example `axum_report` as two processes, and clients that hang up, or change what the reports are about. Cases 36,
//! 41 and 49.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tests::{Guardian, Servers, wait_until};

/// Of a client, when a report takes four seconds.
const IMPATIENT: Duration = Duration::from_millis(1_200);
const LIMIT: Duration = Duration::from_secs(30);
const CLIENTS: usize = 12;

/// Built with the tests, and again where something changed.
fn program() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--package", "examples", "--example", "axum_report"])
        .args(["--locked", "--quiet"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("CARGO_TARGET_DIR", target)
        .status()
        .unwrap();
    assert!(built.success());
    target.join("debug/examples/axum_report")
}

/// A process of the service.
struct Service {
    process: Child,
    address: String,
    said: Receiver<String>,
}

impl Service {
    fn start(program: &Path, directory: &TempDir) -> Self {
        let path = directory.path().to_str().unwrap();
        Self::start_with(program, &[("WORKSHARING_DIRECTORY", path)])
    }

    fn start_with(program: &Path, environment: &[(&str, &str)]) -> Self {
        let mut process = Command::new(program)
            .arg("0")
            .env_clear()
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Guardian::of_this_process().watch(process.id(), "KILL");
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (tell, said) = mpsc::channel();
        thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .all(|line| tell.send(line).is_ok())
        });
        let address = loop {
            let line = said.recv_timeout(LIMIT).unwrap();
            if let Some((_, address)) = line.split_once("http://") {
                break address.to_owned();
            }
        };
        Self {
            process,
            address,
            said,
        }
    }

    /// How many bodies have begun so far, and ended. Each is counted once.
    fn bodies(&self) -> (usize, usize) {
        let said: Vec<_> = self.said.try_iter().collect();
        let count = |what| said.iter().filter(|line| line.starts_with(what)).count();
        (count("computing"), count("computed"))
    }

    fn terminate(&self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        Guardian::of_this_process().forget(self.process.id(), "KILL");
    }
}

/// The answer to a client that waits for at most this long, and then hangs up.
fn request(address: &str, what: &str, patience: Duration) -> Option<String> {
    let deadline = Instant::now() + patience;
    let mut connection = TcpStream::connect(address).unwrap();
    let request = format!("{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.checked_duration_since(Instant::now())?;
        connection
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))
            .unwrap();
        match connection.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
            Err(_) => return None,
        }
    }
    Some(String::from_utf8(answer).unwrap())
}

/// The body of the answer to such a client that asks for a page.
fn ask(address: &str, page: &str, patience: Duration) -> Option<String> {
    let answer = request(address, &format!("GET {page}"), patience)?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some(body.to_owned())
}

/// Clients of all services ask, hang up, and ask again, until they are served or for that long: how many were.
fn impatient_clients(services: &[Service; 2], page: &str, time: Duration) -> usize {
    let begun = Instant::now();
    let addresses = services.each_ref().map(|service| service.address.as_str());
    let client = |number: usize| {
        while begun.elapsed() < time {
            if ask(addresses[number % 2], page, IMPATIENT).is_some() {
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
    let each = services.iter().map(Service::bodies);
    each.fold((0, 0), |sum, bodies| (sum.0 + bodies.0, sum.1 + bodies.1))
}

#[test]
fn clients_that_hang_up_are_served_in_the_end() {
    let (program, directory) = (program(), tempfile::tempdir().unwrap());
    let services = [(); 2].map(|()| Service::start(&program, &directory));
    assert_eq!(impatient_clients(&services, "/report/2024", LIMIT), CLIENTS);
    assert_eq!(sum(&services), (1, 1), "one body is enough");
}

#[test]
fn without_detach_no_report_is_ever_finished() {
    let (program, directory) = (program(), tempfile::tempdir().unwrap());
    let services = [(); 2].map(|()| Service::start(&program, &directory));
    let time = 5 * IMPATIENT;
    assert_eq!(impatient_clients(&services, "/attached/2024", time), 0);
    let (begun, ended) = sum(&services);
    assert_eq!(ended, 0);
    assert!(begun > 1, "it is begun again and again: {begun}");
}

#[test]
fn report_that_nobody_waits_for_is_finished_before_its_process_ends() {
    let (program, directory) = (program(), tempfile::tempdir().unwrap());
    let mut ends = Service::start(&program, &directory);
    assert_eq!(ask(&ends.address, "/report/2024", IMPATIENT), None);
    ends.terminate();
    let asked = Instant::now();
    wait_until(LIMIT, "the process has ended", || {
        ends.process.try_wait().unwrap().is_some()
    });
    assert!(ends.process.wait().unwrap().success());
    assert!(asked.elapsed() > IMPATIENT, "it waits for the report");

    let other = Service::start(&program, &directory);
    let report = ask(&other.address, "/report/2024", LIMIT).unwrap();
    let by = format!("\"computed_by\":{}", ends.process.id());
    assert!(report.contains(&by), "{report}");
    assert_eq!(other.bodies(), (0, 0));
}

/// Sends an order. Whether it was taken.
fn order(service: &Service, year: u16) -> bool {
    let answer = request(&service.address, &format!("POST /orders/{year}"), LIMIT);
    answer.unwrap().starts_with("HTTP/1.1 201")
}

/// How many orders each of them reports.
fn reported(services: &[Service; 2], year: u16) -> [u64; 2] {
    services.each_ref().map(|service| {
        let report = ask(&service.address, &format!("/report/{year}"), LIMIT).unwrap();
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
    let (program, servers) = (program(), Servers::start());
    let (postgres, redis) = (servers.postgres.url(), servers.redis.url());
    let urls = [
        ("WORKSHARING_POSTGRES_URL", &*postgres),
        ("WORKSHARING_REDIS_URL", &*redis),
    ];
    let urls = if in_redis { &urls[..] } else { &urls[..1] };
    let services = [(); 2].map(|()| Service::start_with(&program, urls));
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
