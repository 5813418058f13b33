use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::port::listen;

/// A server that takes every connection and never answers a question.
#[derive(Debug)]
pub struct SilentServer {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    ended: AtomicBool,
    accepted: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl SilentServer {
    /// Says nothing at all.
    pub fn start() -> Self {
        Self::start_with(|_| ())
    }

    /// Shakes hands as Redis does, and answers nothing else.
    pub fn after_the_handshake_of_redis() -> Self {
        Self::start_with(shake_hands)
    }

    fn start_with(serve: fn(TcpStream)) -> Self {
        let (listener, port) = listen();
        let shared = Arc::<Shared>::default();
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.ended.load(SeqCst) {
                    return;
                }
                accepting.accepted.fetch_add(1, SeqCst);
                let copy = stream.try_clone().expect("cannot clone a socket");
                accepting.open.lock().unwrap().push(copy);
                thread::spawn(move || serve(stream));
            }
        });
        Self { port, shared }
    }

    /// Its URL for PostgreSQL's clients.
    pub fn postgres_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Its URL for clients of Redis.
    pub fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections came so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(SeqCst)
    }
}

impl Drop for SilentServer {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the accepting thread, so that it sees the end.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// What a client sends before it is asked for anything.
const HANDSHAKE: [&str; 4] = ["CLIENT", "SELECT", "AUTH", "HELLO"];

fn shake_hands(stream: TcpStream) {
    let Ok(mut answers) = stream.try_clone() else {
        return;
    };
    let mut asked = BufReader::new(stream);
    while let Some(command) = read_command(&mut asked) {
        let greets = HANDSHAKE.contains(&command.to_uppercase().as_str());
        if greets && answers.write_all(b"+OK\r\n").is_err() {
            return;
        }
    }
}

/// Reads one command of the protocol of Redis, and returns its name.
fn read_command(from: &mut BufReader<TcpStream>) -> Option<String> {
    let words = read_number(from, '*')?;
    let mut name = None;
    for _ in 0..words {
        // And the line's end.
        let mut word = vec![0; read_number(from, '$')? + 2];
        from.read_exact(&mut word).ok()?;
        word.truncate(word.len() - 2);
        name.get_or_insert(String::from_utf8_lossy(&word).into_owned());
    }
    name
}

fn read_number(from: &mut BufReader<TcpStream>, sign: char) -> Option<usize> {
    let mut line = String::new();
    from.read_line(&mut line).ok()?;
    line.strip_prefix(sign)?.trim().parse().ok()
}

/// A host that nothing comes back from, not even that it is not there: connecting hangs. (A listener whose
/// queue is full; Linux then ignores who knocks.)
#[derive(Debug)]
pub struct DeadHost {
    listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl DeadHost {
    /// Makes one.
    pub fn new() -> Self {
        let (listener, port) = listen();
        rustix::net::listen(&listener, 0).expect("cannot shorten the queue");
        let address = ([127, 0, 0, 1], port).into();
        let patience = std::time::Duration::from_millis(200);
        let knock = || TcpStream::connect_timeout(&address, patience).ok();
        Self {
            listener,
            _queued: std::iter::from_fn(knock).take(10).collect(),
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("it listens").port()
    }
}

impl Default for DeadHost {
    fn default() -> Self {
        Self::new()
    }
}
