//! The tests' own servers: whether they start, stop, fail and clean up as told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls, SimpleQueryMessage};
use tests::{
    DeadHost, PgBouncer, PoolMode, PostgresServer, Proxy, RedisServer, Resources, Shim,
    SilentServer, Stop, peak_kib, thread_names, wait_until,
};

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn postgres_starts_stops_and_starts_again() {
    let mut server = PostgresServer::start_with(&[("max_connections", "7")]);
    let mut client = server.connect();
    let shown: String = client
        .query_one("SHOW max_connections", &[])
        .unwrap()
        .get(0);
    assert_eq!(shown, "7");
    client
        .batch_execute("CREATE TABLE kept (); SELECT pg_advisory_lock(1)")
        .unwrap();
    assert_eq!(server.advisory_locks(), 1);
    server.stop(Stop::Immediate);
    assert!(client.batch_execute("SELECT 1").is_err());
    server.start_again();
    server.restart();
    server.connect().batch_execute("SELECT FROM kept").unwrap();
    assert_eq!(server.advisory_locks(), 0);
}

#[test]
fn redis_starts_and_restarts_empty() {
    let mut server = RedisServer::start();
    let _: () = redis::cmd("SET")
        .arg("k")
        .arg("v")
        .query(&mut server.connect())
        .unwrap();
    server.restart();
    let value: Option<String> = redis::cmd("GET")
        .arg("k")
        .query(&mut server.connect())
        .unwrap();
    assert_eq!(value, None);
}

#[test]
fn standby_streams_from_its_primary() {
    let primary = PostgresServer::start();
    let standby = primary.standby();
    let mut client = standby.connect();
    let recovering: bool = client
        .query_one("SELECT pg_is_in_recovery()", &[])
        .unwrap()
        .get(0);
    assert!(recovering);
    primary
        .connect()
        .batch_execute("CREATE TABLE streamed ()")
        .unwrap();
    wait_until(LIMIT, "the table arrives", || {
        client.batch_execute("SELECT FROM streamed").is_ok()
    });
}

#[test]
fn pgbouncer_pools_by_transaction_or_session() {
    let server = PostgresServer::start();
    for (mode, sessions) in [(PoolMode::Session, 2), (PoolMode::Transaction, 1)] {
        let bouncer = PgBouncer::start(&server, mode);
        let mut clients = [(); 2].map(|()| Client::connect(&bouncer.url(), NoTls).unwrap());
        let [one, other] = clients.each_mut().map(backend_pid);
        assert_eq!(if one == other { 1 } else { 2 }, sessions, "{mode:?}");
    }
}

fn backend_pid(client: &mut Client) -> String {
    let rows = client.simple_query("SELECT pg_backend_pid()").unwrap();
    let mut pids = rows.iter().filter_map(|row| match row {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    pids.next().unwrap().to_owned()
}

#[test]
fn proxy_forwards_delays_freezes_cuts_and_refuses() {
    let proxy = Proxy::to(echo());
    let mut stream = through(&proxy);
    bounce(&mut stream).unwrap();
    proxy.delay(Duration::from_millis(100));
    assert!(bounce(&mut stream).unwrap() >= Duration::from_millis(200));
    proxy.delay(Duration::ZERO);
    proxy.freeze();
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert!(bounce(&mut stream).is_err());
    proxy.thaw();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    // What was held back comes first.
    stream.read_exact(&mut [0; 4]).unwrap();
    bounce(&mut stream).unwrap();
    proxy.cut();
    assert!(bounce(&mut stream).is_err());
    bounce(&mut through(&proxy)).unwrap();
    proxy.refuse();
    assert!(bounce(&mut through(&proxy)).is_err());
    proxy.admit();
    bounce(&mut through(&proxy)).unwrap();
    assert_eq!(proxy.accepted(), 4);
}

#[test]
fn proxy_paces_answers_cuts_often_and_stalls() {
    let proxy = Proxy::to(echo());
    let mut stream = through(&proxy);
    proxy.pace_answers(1, Duration::from_millis(50));
    assert!(bounce(&mut stream).unwrap() >= Duration::from_millis(150));
    proxy.hurry();
    assert!(bounce(&mut stream).unwrap() < Duration::from_millis(150));
    thread::scope(|scope| {
        scope.spawn(|| proxy.stall(Duration::from_millis(200)));
        thread::sleep(Duration::from_millis(50));
        assert!(bounce(&mut stream).unwrap() >= Duration::from_millis(100));
    });
    proxy.cut_often(3, Duration::from_millis(1));
    assert!(bounce(&mut stream).is_err());
}

#[test]
fn silent_servers_accept_and_say_nothing() {
    let silent = SilentServer::start();
    let mut stream = TcpStream::connect(("127.0.0.1", silent.port())).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert!(bounce(&mut stream).is_err());
    assert_eq!(silent.accepted(), 1);
    let greets = SilentServer::after_the_handshake_of_redis();
    let client = redis::Client::open(greets.redis_url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    connection
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let answer: redis::RedisResult<()> = redis::cmd("GET").arg("k").query(&mut connection);
    assert!(answer.unwrap_err().is_timeout());
}

#[test]
fn dead_host_lets_nobody_connect() {
    let dead = DeadHost::new();
    let address = ([127, 0, 0, 1], dead.port()).into();
    let knocked = TcpStream::connect_timeout(&address, Duration::from_millis(500));
    assert_eq!(knocked.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn resources_of_a_process_are_counted() {
    let pid = std::process::id();
    let before = Resources::of(pid);
    let _files = [(); 5].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let memory = vec![1_u8; 32 << 20];
    thread::Builder::new()
        .name("one of ours".into())
        .spawn(|| thread::sleep(Duration::from_secs(1)))
        .unwrap();
    let most = Resources::most(&[pid], Duration::from_millis(300))[0];
    // Other tests of this process may have some, too.
    assert!(
        most.descriptors >= before.descriptors + 5,
        "{before}, {most}"
    );
    assert!(most.threads > before.threads, "{before}, {most}");
    assert!(
        most.resident_kib >= before.resident_kib + 30_000,
        "{before}, {most}"
    );
    assert!(peak_kib(pid) >= most.resident_kib && memory[0] == 1);
    assert!(thread_names(pid).contains(&"one of ours".to_owned()));
}

#[test]
fn shim_moves_the_clock_of_a_worker() {
    let shim = Shim::with_a_clock_ahead(86_400);
    let date = |shim: Option<&Shim>| {
        let mut command = Command::new("date");
        shim.iter().for_each(|shim| shim.load_into(&mut command));
        let told = command.arg("+%s").output().unwrap().stdout;
        String::from_utf8(told)
            .unwrap()
            .trim()
            .parse::<u64>()
            .unwrap()
    };
    let ahead = date(Some(&shim)) - date(None);
    assert!((86_390..86_410).contains(&ahead), "{ahead}");
}

/// Sends back what it gets.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    port
}

fn through(proxy: &Proxy) -> TcpStream {
    let port = proxy
        .redis_url()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

fn bounce(stream: &mut TcpStream) -> std::io::Result<Duration> {
    let began = Instant::now();
    stream.write_all(b"ping")?;
    stream.read_exact(&mut [0; 4])?;
    Ok(began.elapsed())
}

#[test]
fn directories_go_with_their_servers() {
    let server = PostgresServer::start();
    let mut client = server.connect();
    let data: String = client.query_one("SHOW data_directory", &[]).unwrap().get(0);
    assert!(Path::new(&data).exists());
    drop(server);
    assert!(!Path::new(&data).exists());
}

#[test]
fn servers_end_when_the_test_is_killed() {
    let mut part = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "part_that_is_killed", "--nocapture"])
        .env(PART, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = BufReader::new(part.stdout.take().unwrap());
    let ports = told
        .lines()
        .map_while(Result::ok)
        .find(|line| line.starts_with("ports"))
        .unwrap();
    let ports: Vec<u16> = ports
        .split(' ')
        .skip(1)
        .map(|port| port.parse().unwrap())
        .collect();
    let listens = |port: &u16| TcpStream::connect(("127.0.0.1", *port)).is_ok();
    assert!(ports.len() == 2 && ports.iter().all(listens));
    part.kill().unwrap();
    part.wait().unwrap();
    wait_until(LIMIT, "the servers end", || !ports.iter().any(listens));
}

/// Set where [`part_that_is_killed`] is to play its part.
const PART: &str = "TESTS_PART_THAT_IS_KILLED";

/// The process that [`servers_end_when_the_test_is_killed`] kills. Run by itself it does nothing.
#[test]
fn part_that_is_killed() {
    if std::env::var_os(PART).is_some() {
        let (postgres, redis) = (PostgresServer::start(), RedisServer::start());
        println!("\nports {} {}", postgres.port(), redis.port());
        thread::sleep(Duration::from_secs(600));
    }
}
