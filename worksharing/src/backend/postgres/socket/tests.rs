use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::*;
use crate::backend::link::Watchdog;
use crate::backend::postgres::{Address, Purpose};

/// A server that accepts, and says nothing or answers a question for TLS with this letter.
fn connect_to_one_that_says(letter: Option<u8>, parameters: &str) -> (Option<Error>, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut client in listener.incoming().flatten() {
            if let Some(letter) = letter {
                client.read_exact(&mut [0; 8]).unwrap();
                client.write_all(&[letter]).unwrap();
            }
            kept.push(client);
        }
    });
    let url = format!("postgres://u:p@127.0.0.1:{port}/d?{parameters}");
    let address = Address::parse(&url, true).unwrap();
    let watchdog = Watchdog::default();
    let begun = Instant::now();
    let error = thread::scope(|scope| {
        let connecting = scope.spawn(|| address.connect(Purpose::Locks, &watchdog).err());
        thread::sleep(Duration::from_millis(200));
        assert!(!connecting.is_finished(), "it waits for an answer");
        watchdog.interrupt();
        connecting.join().unwrap()
    });
    (error, begun.elapsed())
}

#[test]
fn a_handshake_with_a_silent_server_can_be_ended() {
    for (letter, parameters) in [
        (None, "sslmode=disable"),
        (None, "sslmode=prefer"),
        (None, "sslmode=require"),
        (Some(b'N'), "sslmode=prefer"),
        (Some(b'S'), "sslmode=prefer"),
    ] {
        // Without TLS nothing is asked about it.
        if !cfg!(feature = "tls") && (letter.is_some() || parameters.contains("require")) {
            continue;
        }
        let (error, took) = connect_to_one_that_says(letter, parameters);
        let error = error.expect("nobody is there").chain().to_string();
        assert!(error.contains("no answer in time"), "{error}");
        assert!(took < Duration::from_secs(2), "{parameters}: {took:?}");
    }
}
