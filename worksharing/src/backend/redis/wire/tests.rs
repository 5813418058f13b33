use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::backend::link::Watchdog;
use crate::backend::redis::socket::SILENCE;

/// Answers with these pieces, one for each read, and keeps what is written.
#[derive(Default)]
struct Script {
    pieces: VecDeque<Vec<u8>>,
    pause: Duration,
}

impl io::Read for Script {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        thread::sleep(self.pause);
        let Some(mut piece) = self.pieces.pop_front() else {
            return Ok(0);
        };
        let length = piece.len().min(into.len());
        into[..length].copy_from_slice(&piece[..length]);
        if length < piece.len() {
            self.pieces.push_front(piece.split_off(length));
        }
        Ok(length)
    }
}

impl io::Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn script(answers: &[u8], size: usize) -> Wire {
    Wire::new(Box::new(Script {
        pieces: answers.chunks(size).map(<[u8]>::to_vec).collect(),
        pause: Duration::ZERO,
    }))
}

fn read(wire: &mut Wire) -> io::Result<String> {
    let watchdog = Watchdog::default();
    Ok(match wire.reply(&mut Pace::new(&watchdog))? {
        Ok(Reply::Bytes(bytes)) => format!("{} bytes", bytes.len()),
        Ok(reply) => format!("{reply:?}"),
        Err(refusal) => format!("refused: {}", refusal.code().unwrap_or_default()),
    })
}

#[test]
fn replies_are_read_however_they_are_cut() {
    let large = "x".repeat(100_000);
    let answers = format!(
        "+OK\r\n:-2\r\n$-1\r\n$0\r\n\r\n$3\r\na\r\n\r\n-NOPERM no\r\n${}\r\n{large}\r\n:7\r\n",
        large.len()
    );
    for size in [1, 2, 3, 7, 1_000, 16 * 1024, 1 << 20] {
        let mut wire = script(answers.as_bytes(), size);
        for expected in [
            "Done",
            "Number(-2)",
            "Nil",
            "0 bytes",
            "3 bytes",
            "refused: NOPERM",
            "100000 bytes",
            "Number(7)",
        ] {
            assert_eq!(read(&mut wire).unwrap(), expected, "pieces of {size}");
        }
        assert!(read(&mut wire).is_err(), "there is no more");
    }
}

#[test]
fn nonsense_is_an_error() {
    let endless = "x".repeat(1 << 20);
    for answer in [
        "HTTP/1.1 400 Bad Request\r\n",
        "\r\n",
        ":seven\r\n",
        "$99999999999\r\n",
        "$5000000\r\n",
        "*1\r\n:1\r\n",
        &endless,
    ] {
        let error = read(&mut script(answer.as_bytes(), 4096)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{answer:.20}");
    }
}

/// The socket's own time limit never comes: there is a byte each time.
#[test]
fn a_byte_now_and_then_is_given_up() {
    let mut wire = Wire::new(Box::new(Script {
        pieces: vec![b"$".to_vec(); 1_000].into(),
        pause: Duration::from_millis(300),
    }));
    let begun = Instant::now();
    assert_eq!(read(&mut wire).unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert!(begun.elapsed() < SILENCE * 2);
}
