//! What the tests stand on: private servers, worker processes, and what they tell of themselves.
//!
//! Every server is this test's own: a directory of its own, a free port, no durability. It ends with the
//! value that stands for it, and also when the test's process is killed (see [`Guardian`]).
//! Everything here fails by panicking.

mod backends;
mod browser;
mod certificates;
mod clock;
mod computing;
mod dialogue;
mod example;
mod guardian;
mod hot;
mod log;
mod mesh;
mod options;
mod ordeal;
mod pgbouncer;
mod plan;
mod port;
mod postgres_programs;
mod postgres_server;
mod proxy;
mod redis_cluster;
mod redis_sentinel;
mod redis_server;
mod resources;
pub mod scenarios;
mod server;
mod service;
mod shim;
mod silent;
pub mod soaking;
mod stats;
mod terminal;
mod timeline;
mod user;
mod values;
mod verdict;
mod whole;
mod worker;
mod worker_main;

pub use backends::{Build, on_each_backend, on_each_store};
pub use browser::Browser;
pub use certificates::Certificates;
pub use clock::{ends_within, now_us, wait_until};
pub use computing::Computing;
pub use dialogue::Protocol;
pub use example::example;
pub use guardian::Guardian;
pub use hot::{Hot, assert_nobody_goes_back};
pub use log::Log;
pub use mesh::{Mesh, Servers, on_each_setup};
pub use options::Options;
pub use ordeal::Ordeal;
pub use pgbouncer::{PgBouncer, PoolMode};
pub use plan::{
    Callers, Command, Computed, End, Event, GAVE_UP, List, Moment, NOTHING, Run, Scope, Setup,
};
pub use postgres_server::{PostgresServer, Stop};
pub use proxy::Proxy;
pub use redis_cluster::RedisCluster;
pub use redis_sentinel::RedisSentinel;
pub use redis_server::{RedisKind, RedisServer};
pub use resources::{Resources, peak_kib, sleeps, thread_names};
pub use server::files_for_servers;
pub use service::Service;
pub use shim::Shim;
pub use silent::{DeadHost, SilentServer};
pub use stats::WorkerStats;
pub use terminal::Terminal;
pub use timeline::{Body, Call, Invalidation, Older, Timeline};
pub use values::{OldEntries, Values, marker};
pub use verdict::{LateWakeUp, Rules, Verdict};
pub use whole::whole;
pub use worker::Worker;
pub use worker_main::worker_main;
