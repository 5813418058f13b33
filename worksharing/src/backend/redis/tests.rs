//! The store over a Redis of the test's own, which does to a value what a real one does seldom.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::commands::{Answer, Ask, FIRST};
use super::protocol::RedisProtocol;
use super::{Address, Redis};
use crate::Key;
use crate::backend::link::{Protocol as _, Watchdog};
use crate::blocking::block_on;
use crate::store::{Fence, Look, Seen, Store as _};

type Commands = Arc<Mutex<Vec<String>>>;

/// A server that answers each command with what `answer` returns, and the commands that it was sent.
fn server(answer: impl Fn(&[String]) -> Vec<u8> + Send + Sync + 'static) -> (String, Commands) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (answer, commands) = (Arc::new(answer), Commands::default());
    let sent = Arc::clone(&commands);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (answer, sent) = (Arc::clone(&answer), Arc::clone(&sent));
            thread::spawn(move || {
                let mut answers = client.try_clone().unwrap();
                let mut asked = BufReader::new(client);
                while let Some(command) = read_command(&mut asked) {
                    let reply = if ["CLIENT", "INFO"].contains(&&*command[0]) {
                        b"-ERR unknown subcommand\r\n".to_vec()
                    } else {
                        sent.lock().unwrap().push(command.join(" "));
                        answer(&command)
                    };
                    answers.write_all(&reply).unwrap();
                }
            });
        }
    });
    (url, commands)
}

fn read_command(from: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut number = |sign: char| {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let number = line.strip_prefix(sign)?.trim().parse::<usize>().ok()?;
        let mut word = vec![0; if sign == '$' { number + 2 } else { 0 }];
        from.read_exact(&mut word).ok()?;
        word.truncate(word.len().saturating_sub(2));
        Some((number, String::from_utf8_lossy(&word).into_owned()))
    };
    let (words, _) = number('*')?;
    (0..words).map(|_| Some(number('$')?.1)).collect()
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// What Redis answers about a value that stands under every key, for 7 s.
fn about(value: &[u8], command: &[String]) -> Vec<u8> {
    match &*command[0] {
        "PTTL" => b":7000\r\n".to_vec(),
        "STRLEN" => format!(":{}\r\n", value.len()).into_bytes(),
        "GETRANGE" => {
            let end = command[3].parse::<usize>().unwrap() + 1;
            let end = end.min(value.len());
            bulk(&value[command[2].parse::<usize>().unwrap().min(end)..end])
        }
        other => panic!("{other} was not expected"),
    }
}

fn value(id: u8, length: usize) -> Vec<u8> {
    let mut value = vec![id; Seen::LEN];
    value.extend((Seen::LEN..length).map(|at| (at / 1_000) as u8));
    value
}

fn get(store: &Redis, look: Look) -> Option<crate::store::Stored> {
    let found = block_on(store.get(&[Key::new("key")], look)).unwrap();
    found.into_iter().next().flatten()
}

#[test]
fn entries_of_every_size_arrive_whole() {
    for length in [
        Seen::LEN,
        FIRST - 1,
        FIRST,
        FIRST + 1,
        FIRST + (1 << 20),
        FIRST + (2 << 20) + 1,
    ] {
        let entry = value(1, length);
        let stands = entry.clone();
        let (url, _) = server(move |command| about(&stands, command));
        let store = Redis::new(&url, "p:").unwrap();
        for max_bytes in [length, length + 1, usize::MAX] {
            let found = get(&store, Look::up_to(max_bytes).with_time_left()).unwrap();
            assert!(found.whole && found.bytes == entry, "{length} bytes");
            assert_eq!(found.time_left, Some(Duration::from_secs(7)));
        }
        let found = get(&store, Look::up_to(length - 1)).unwrap();
        assert!(!found.whole, "{length} bytes are too many");
        assert!(entry.starts_with(&found.bytes) && found.bytes.len() >= length.min(Seen::LEN));
    }
}

#[test]
fn an_entry_that_is_too_large_is_not_read() {
    const HALF_A_GIGABYTE: &[u8] = b":500000000\r\n";
    let (url, commands) = server(|command| match &*command[0] {
        "STRLEN" => HALF_A_GIGABYTE.to_vec(),
        _ => about(&value(1, 3 * FIRST), command),
    });
    let store = Redis::new(&url, "p:").unwrap();
    let found = get(&store, Look::up_to(64 << 20)).unwrap();
    assert!(!found.whole);
    assert_eq!(found.bytes[..Seen::LEN], value(1, Seen::LEN)[..]);
    assert_eq!(commands.lock().unwrap().len(), 4);
}

/// Half of one entry and half of another would not be noticed by their lengths.
#[test]
fn an_entry_that_is_replaced_while_it_is_read_is_read_anew() {
    let (one, other) = (value(1, 3 * FIRST), value(2, 3 * FIRST));
    let expected = other.clone();
    let (url, commands) = server({
        let replaced = Mutex::new(false);
        move |command| {
            let mut replaced = replaced.lock().unwrap();
            *replaced |= command[0] == "STRLEN";
            about(if *replaced { &other } else { &one }, command)
        }
    });
    let store = Redis::new(&url, "p:").unwrap();
    let found = get(&store, Look::up_to(usize::MAX)).unwrap();
    assert!(found.whole && found.bytes == expected);
    assert_eq!(commands.lock().unwrap().len(), 8);
}

#[test]
fn an_entry_that_is_replaced_all_the_time_is_a_miss() {
    let (url, _) = server({
        let id = Mutex::new(0);
        move |command| {
            let mut id = id.lock().unwrap();
            *id += 1;
            about(&value(*id, 3 * FIRST), command)
        }
    });
    let store = Redis::new(&url, "p:").unwrap();
    assert_eq!(get(&store, Look::up_to(usize::MAX)), None);
}

/// What came after the time was asked for is new; what is kept for ever is not ours.
#[test]
fn time_left_is_what_redis_says_before_it_gives_the_entry() {
    for (time, expected) in [
        (":250\r\n", Some(Duration::from_millis(250))),
        (":0\r\n", Some(Duration::ZERO)),
        (":-2\r\n", Some(Duration::MAX)),
        (":-1\r\n", None),
    ] {
        let (url, commands) = server(move |command| match &*command[0] {
            "PTTL" => time.into(),
            _ => about(&value(1, 100), command),
        });
        let store = Redis::new(&url, "p:").unwrap();
        let found = get(&store, Look::up_to(1_000).with_time_left()).unwrap();
        assert_eq!(found.time_left, expected, "{time}");
        let found = get(&store, Look::up_to(1_000)).unwrap();
        assert_eq!(found.time_left, None);
        let commands = commands.lock().unwrap();
        let names: Vec<_> = commands
            .iter()
            .filter_map(|it| it.split(' ').next())
            .collect();
        assert_eq!(names, ["PTTL", "GETRANGE", "GETRANGE"]);
    }
}

/// A batch over the wire, as the link sends it.
fn exchange(url: &str, asks: &[Ask]) -> Vec<Result<Answer, crate::Error>> {
    let protocol = RedisProtocol {
        address: Arc::new(Address::parse(url, false).unwrap()),
        prefix: "p:".to_owned(),
        idle_disconnect: Duration::MAX,
    };
    let watchdog = Watchdog::default();
    let mut wire = protocol.connect(&watchdog).unwrap();
    protocol.serve(&mut wire, asks, &watchdog).unwrap()
}

#[test]
fn looks_for_the_same_are_one_request() {
    let (url, commands) = server(|command| match &*command[1] {
        key if key.ends_with("07") => bulk(b""),
        key => bulk(key.as_bytes()),
    });
    let look = Look::up_to(1_000);
    let [a, b, none] = [1, 2, 7].map(|last| {
        let mut digest = [0; 16];
        digest[15] = last;
        digest
    });
    let asks = [
        Ask::Look(a, look),
        Ask::Looks([b, a, none].into(), look),
        Ask::Look(a, look),
        Ask::Look(a, Look::up_to(2_000)),
        Ask::Look(none, look),
    ];
    let answers: Vec<Vec<_>> = exchange(&url, &asks)
        .into_iter()
        .map(|answer| match answer.unwrap() {
            Answer::Piece(piece) => vec![piece],
            Answer::Pieces(pieces) => pieces,
            _ => panic!("something else was asked"),
        })
        .map(|pieces| {
            let last = |piece: super::commands::Piece| piece.bytes[piece.bytes.len() - 1];
            pieces.into_iter().map(|piece| piece.map(last)).collect()
        })
        .collect();
    let (a, b) = (Some(b'1'), Some(b'2'));
    assert_eq!(
        answers,
        [vec![a], vec![b, a, None], vec![a], vec![a], vec![None]]
    );
    assert_eq!(commands.lock().unwrap().len(), 4);
}

/// Its answer may have been lost: then what stands there is this very entry.
#[test]
fn a_put_that_finds_something_is_said_again_with_its_fence() {
    let (url, commands) = server(|command| match &*command[0] {
        "SET" if command[1].ends_with("01") => b"$-1\r\n".to_vec(),
        "SET" => b"+OK\r\n".to_vec(),
        _ => b":1\r\n".to_vec(),
    });
    let put = |last| Ask::Put {
        digest: [last; 16],
        entry: Bytes::from_static(b"entry"),
        ttl: Duration::MAX,
        fence: Some(Fence::new(Seen::of(None), None)),
    };
    let answers = exchange(&url, &[put(1), put(2)]);
    let is_stored = |answer: &Result<_, _>| matches!(answer, Ok(Answer::Stored(true)));
    assert!(answers.iter().all(is_stored));
    let commands = commands.lock().unwrap();
    assert_eq!(commands.len(), 3);
    assert!(commands[2].starts_with("EVAL") && commands[2].contains("0101 "));
    assert!(
        commands[0].ends_with("NX PX 4503599627370496"),
        "{commands:?}"
    );
}

#[cfg(feature = "cluster")]
#[test]
fn what_a_server_refuses_is_told_from_what_it_does_not_answer() {
    let (url, _) = server(|_| b"-ASK 7 10.0.0.1:7000\r\n".to_vec());
    let store = Redis::new(&url, "ws:").unwrap();
    let error = block_on(store.get_one(&Key::new("key"), Look::up_to(100))).unwrap_err();
    let refusal = super::refusal::refusal(&error).expect("it is a refusal");
    assert_eq!(refusal.code(), Some("ASK"));
    assert_eq!(refusal.redirect_node(), Some(("10.0.0.1:7000", 7)));
}
