//! Starts the processes of the demonstration: this program again.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};

use crate::Trouble;

/// They end when their input does, and so with this process, however it ends.
pub(crate) struct Workers(Vec<Child>);

pub(crate) fn start(count: usize, port: u16) -> Result<Workers, Trouble> {
    let dashboard = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut workers = Workers(Vec::new());
    for _ in 0..count {
        let worker = Command::new(env::current_exe()?)
            .args(["--worker-of", &dashboard.to_string()])
            .stdin(Stdio::piped())
            .spawn()?;
        workers.0.push(worker);
    }
    Ok(workers)
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            drop(worker.stdin.take());
        }
        for worker in &mut self.0 {
            let _ = worker.wait();
        }
    }
}
