use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that nobody listens on. Below the range from which outgoing connections take theirs, so that a
/// server that restarts finds it free again.
pub(crate) fn free_port() -> u16 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // Processes of one run begin far from each other; a prime step keeps them apart.
    let start =
        process::id().wrapping_mul(7919) % 20_000 + COUNT.fetch_add(1, Ordering::Relaxed) * 13;
    let mut ports = (start..start + 20_000).map(|at| 11_000 + (at % 20_000) as u16);
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("no free port between 11000 and 31000")
}

pub(crate) fn listen() -> (TcpListener, u16) {
    for _ in 0..5 {
        let port = free_port();
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return (listener, port);
        }
    }
    panic!("no port to listen on");
}
