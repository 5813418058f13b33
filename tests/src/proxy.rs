use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::dialogue::{Dialogue, Protocol};
use crate::port::listen;

/// Stands before a server and passes bytes on, until it is told to do worse.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    protocol: Option<Protocol>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The port of the server.
    server: u16,
    frozen: bool,
    refusing: bool,
    ended: bool,
    delay: Duration,
    pace: Option<(usize, Duration)>,
    accepted: usize,
    round_trips: usize,
    open: Vec<TcpStream>,
}

impl Proxy {
    /// Begins to forward to this port of the machine.
    pub fn to(server: u16) -> Self {
        Self::of(server, None)
    }

    /// The same, and counts round trips.
    pub fn counting(server: u16, protocol: Protocol) -> Self {
        Self::of(server, Some(protocol))
    }

    fn of(server: u16, protocol: Option<Protocol>) -> Self {
        let (listener, port) = listen();
        let shared = Arc::new(Shared {
            protocol,
            state: Mutex::new(State {
                server,
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Self { port, shared }
    }

    /// The URL of a PostgreSQL server behind it.
    pub fn postgres_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The URL of a Redis server behind it.
    pub fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Passes nothing on, in either direction, and keeps every connection: a network that lost its way.
    pub fn freeze(&self) {
        self.change(|state| state.frozen = true);
    }

    /// Passes on again, first of all what was held back.
    pub fn thaw(&self) {
        self.change(|state| state.frozen = false);
    }

    /// Closes every connection. New ones are accepted.
    pub fn cut(&self) {
        self.change(|state| {
            for stream in state.open.drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }

    /// Closes every connection and those to come, until [`admit`](Self::admit).
    pub fn refuse(&self) {
        self.change(|state| state.refusing = true);
        self.cut();
    }

    /// New connections are served again.
    pub fn admit(&self) {
        self.change(|state| state.refusing = false);
    }

    /// Leads to another server from now on, as an address does after a fail-over. Connections are closed.
    pub fn lead_to(&self, server: u16) {
        self.change(|state| state.server = server);
        self.cut();
    }

    /// Holds every piece back for so long, in both directions.
    pub fn delay(&self, delay: Duration) {
        self.change(|state| state.delay = delay);
    }

    /// Passes nothing on for so long.
    pub fn stall(&self, time: Duration) {
        self.freeze();
        thread::sleep(time);
        self.thaw();
    }

    /// Closes every connection so many times, with a pause before each.
    pub fn cut_often(&self, times: usize, pause: Duration) {
        for _ in 0..times {
            thread::sleep(pause);
            self.cut();
        }
    }

    /// Passes the server's answers on as a slow line does: so many bytes, then a pause.
    pub fn pace_answers(&self, bytes: usize, pause: Duration) {
        self.change(|state| state.pace = Some((bytes, pause)));
    }

    /// Passes the server's answers on at this speed.
    pub fn throttle_answers(&self, bytes_per_second: usize) {
        const PAUSE: Duration = Duration::from_millis(10);
        self.pace_answers(bytes_per_second / 100, PAUSE);
    }

    /// Passes everything on at once again.
    pub fn hurry(&self) {
        self.change(|state| state.pace = None);
    }

    /// How many connections came so far.
    pub fn accepted(&self) -> usize {
        self.shared.state.lock().unwrap().accepted
    }

    /// How often a client has asked for something after all before was answered.
    pub fn round_trips(&self) -> usize {
        self.shared.state.lock().unwrap().round_trips
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state.lock().unwrap());
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.change(|state| state.ended = true);
        self.cut();
        // Wakes the accepting thread, so that it sees the end.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().flatten() {
            let mut state = self.state.lock().unwrap();
            if state.ended {
                return;
            }
            state.accepted += 1;
            if state.refusing {
                continue;
            }
            let Ok(server) = TcpStream::connect(("127.0.0.1", state.server)) else {
                continue;
            };
            for stream in [&client, &server] {
                let _ = stream.set_nodelay(true);
                state
                    .open
                    .push(stream.try_clone().expect("cannot clone a socket"));
            }
            drop(state);
            let dialogue = self
                .protocol
                .map(|it| Arc::new(Mutex::new(Dialogue::new(it))));
            let other = dialogue.clone();
            let (back, forth) = (Arc::clone(self), Arc::clone(self));
            let (client_in, server_in) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || forth.pump(client_in, server, dialogue, false));
            thread::spawn(move || back.pump(server_in, client, other, true));
        }
    }

    fn pump(
        &self,
        mut from: TcpStream,
        mut to: TcpStream,
        dialogue: Option<Arc<Mutex<Dialogue>>>,
        answers: bool,
    ) {
        let mut piece = [0; 16 * 1024];
        loop {
            let length = from.read(&mut piece).unwrap_or(0);
            if let Some(dialogue) = &dialogue {
                self.follow(&mut dialogue.lock().unwrap(), &piece[..length], answers);
            }
            let delay = self.when_thawed();
            thread::sleep(delay);
            // Frozen meanwhile? Then this piece waits too.
            self.when_thawed();
            if length == 0 || self.pass_on(&piece[..length], &mut to, answers).is_err() {
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
        }
    }

    fn follow(&self, dialogue: &mut Dialogue, piece: &[u8], answers: bool) {
        if answers {
            dialogue.answers(piece);
        } else if !piece.is_empty() && dialogue.asks(piece) {
            self.state.lock().unwrap().round_trips += 1;
        }
    }

    fn pass_on(&self, mut bytes: &[u8], to: &mut TcpStream, answers: bool) -> io::Result<()> {
        while !bytes.is_empty() {
            let pace = self.state.lock().unwrap().pace.filter(|_| answers);
            let (length, pause) = pace.unwrap_or((bytes.len(), Duration::ZERO));
            let (now, later) = bytes.split_at(length.min(bytes.len()));
            to.write_all(now)?;
            thread::sleep(pause);
            bytes = later;
        }
        Ok(())
    }

    fn when_thawed(&self) -> Duration {
        let state = self.state.lock().unwrap();
        self.changed
            .wait_while(state, |state| state.frozen && !state.ended)
            .unwrap()
            .delay
    }
}
